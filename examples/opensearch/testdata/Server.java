import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.opensearch.common.settings.Settings;
import org.opensearch.http.HttpServerTransport;
import org.opensearch.node.InternalSettingsPreparer;
import org.opensearch.node.Node;
import org.opensearch.plugins.Plugin;

/**
 * Starts an OpenSearch of one node with the k-NN plugin, prints its address, and stops when standard input ends. The
 * argument is the folder of its files.
 */
public class Server extends Node {
	private static final List<String> PLUGINS = List.of(
		"org.opensearch.transport.Netty4Plugin", "org.opensearch.analysis.common.CommonAnalysisPlugin",
		"org.opensearch.painless.PainlessPlugin", "org.opensearch.knn.plugin.KNNPlugin");

	Server(Settings settings, List<Class<? extends Plugin>> plugins) {
		super(InternalSettingsPreparer.prepareEnvironment(settings, Map.of(), null, () -> "test"), plugins, true);
	}

	public static void main(String[] arguments) throws Exception {
		List<Class<? extends Plugin>> plugins = new ArrayList<>();
		for (String name : PLUGINS) {
			plugins.add(Class.forName(name).asSubclass(Plugin.class));
		}
		Settings settings = Settings.builder()
			.put("path.home", arguments[0]).put("cluster.name", "test").put("discovery.type", "single-node")
			.put("http.host", "127.0.0.1").put("http.port", "0").put("transport.host", "127.0.0.1").put("transport.port", "0")
			.put("cluster.routing.allocation.disk.threshold_enabled", false) // a full disk makes indexes read-only
			.build();
		try (Node node = new Server(settings, plugins)) {
			node.start();
			var address = node.injector().getInstance(HttpServerTransport.class).boundAddress().publishAddress();
			System.out.println("listening on http://" + address);
			System.in.read();
		}
	}
}
