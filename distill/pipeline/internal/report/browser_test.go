package report_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/distill/pipeline/internal/report"
)

// chromium returns the browser of the tests: $RETORT_CHROMIUM, or one that is installed. Without one the test is skipped.
func chromium(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: no browser")
	}
	path, why := findChromium()
	if path == "" {
		t.Skip("the page is not checked in a browser: " + why + ": install chromium, or set RETORT_CHROMIUM to its path")
	}
	return path
}

// findChromium returns a browser that runs here, or why there is none.
var findChromium = sync.OnceValues(func() (path, why string) {
	if path := os.Getenv("RETORT_CHROMIUM"); path != "" {
		return path, ""
	}
	why = "no Chromium here"
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		out, _, err := browse(context.Background(), path, "data:text/html,<p>works</p>")
		if err == nil && strings.Contains(out, "works") {
			return path, ""
		}
		why = fmt.Sprintf("%s does not run here (%v)", path, err)
	}
	return "", why
})

// browserTimeout is for a machine that is busy; otherwise it takes two seconds.
const browserTimeout = 4 * time.Minute

// browse opens a page and returns what it has become, and what the browser says.
func browse(ctx context.Context, browser, url string, flags ...string) (dom, log string, err error) {
	profile, err := os.MkdirTemp("", "retort-chromium")
	if err != nil {
		return "", "", err
	}
	defer os.RemoveAll(profile) // t.TempDir would fail where a helper process still writes
	ctx, cancel := context.WithTimeout(ctx, browserTimeout)
	defer cancel()
	args := append([]string{
		"--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-extensions",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--enable-logging=stderr",
		"--user-data-dir=" + profile, "--window-size=1400,900", "--dump-dom",
	}, flags...)
	c := exec.CommandContext(ctx, browser, append(args, url)...)
	c.WaitDelay = 5 * time.Second
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	err = c.Run()
	return stdout.String(), stderr.String(), err
}

// look is what inspect.html finds out about the report at one width.
type look struct {
	Width       int     `json:"width"`       // of the window
	ScrollWidth int     `json:"scrollWidth"` // of the document
	Scripts     int     `json:"scripts"`
	Handlers    int     `json:"handlers"` // attributes that begin with "on"
	Images      int     `json:"images"`
	Alerts      int     `json:"alerts"` // occurrences of "alert(1)" in the text
	Paper       string  `json:"paper"`
	Contrast    float64 `json:"contrast"` // the lowest of a text
	Faintest    string  `json:"faintest"` // the text
	Charts      []struct {
		Title string   `json:"title"`
		Role  string   `json:"role"`
		Axes  []string `json:"axes"`
		Width float64  `json:"width"`
		Small float64  `json:"small"` // size of the text as drawn, in CSS pixels
		Cut   []string `json:"cut"`   // texts that leave the chart
	} `json:"charts"`
}

// inspect serves the page, opens it in two widths and returns what is seen, the lines of the console and the paths asked for.
func inspect(t *testing.T, browser, page string, flags ...string) (looks []look, console, asked []string) {
	t.Helper()
	inspector, err := os.ReadFile(filepath.Join("testdata", "inspect.html"))
	require.NoError(t, err)
	var mu sync.Mutex
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, r.URL.Path)
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		if r.URL.Path == "/inspect" {
			w.Write(inspector) //nolint:errcheck // the browser then shows nothing, and the test fails
			return
		}
		fmt.Fprint(w, page)
	}))
	defer server.Close()
	dom, log, err := browse(t.Context(), browser, server.URL+"/inspect", flags...)
	require.NoError(t, err, log)
	found := regexp.MustCompile(`(?s)<pre id="result">(.*?)</pre>`).FindStringSubmatch(dom)
	require.NotNil(t, found, "the inspector said nothing: %s\n%s", dom, log)
	require.NoError(t, json.Unmarshal([]byte(html.UnescapeString(found[1])), &looks), found[1])
	for _, line := range strings.Split(log, "\n") {
		if strings.Contains(line, "CONSOLE") {
			console = append(console, line)
		}
	}
	return looks, console, asked
}

func TestThePageInABrowser(t *testing.T) {
	browser := chromium(t)
	for _, mode := range []struct {
		name  string
		paper string
		flags []string
	}{
		{"light", "rgb(255, 255, 255)", []string{"--blink-settings=preferredColorScheme=1"}},
		{"dark", "rgb(22, 24, 27)", []string{"--blink-settings=preferredColorScheme=0"}},
	} {
		t.Run(mode.name, func(t *testing.T) {
			looks, console, asked := inspect(t, browser, page(t, sample(t)), mode.flags...)
			require.Len(t, looks, 2)
			require.Len(t, console, 1, "the inspector's own line and nothing else")
			require.Contains(t, console[0], "inspected")
			require.ElementsMatch(t, []string{"/inspect", "/report", "/report"}, asked, "the page fetches nothing")
			for i, width := range []int{390, 1280} {
				l := looks[i]
				require.Equal(t, width, l.Width)
				require.LessOrEqual(t, l.ScrollWidth, width, "scrolls sideways")
				require.Zero(t, l.Scripts+l.Handlers+l.Images)
				require.Equal(t, mode.paper, l.Paper)
				require.GreaterOrEqual(t, l.Contrast, 4.5, l.Faintest)
				require.Len(t, l.Charts, 11)
				for _, c := range l.Charts {
					require.NotEmpty(t, c.Title)
					require.Equal(t, "img", c.Role, c.Title)
					require.Len(t, c.Axes, 2, c.Title)
					require.NotContains(t, c.Axes, "", c.Title)
					require.Greater(t, c.Width, 320.0, c.Title)
					require.Greater(t, c.Small, 9.0, "text of %s is too small to read at %d", c.Title, width)
					require.Empty(t, c.Cut, c.Title)
				}
			}
		})
	}
}

func TestHostileTextsAreInertInABrowser(t *testing.T) {
	browser := chromium(t)
	looks, console, asked := inspect(t, browser, page(t, poisoned(t, strings.Join(hostile, " "))))
	require.Len(t, console, 1, "%q", console)
	require.ElementsMatch(t, []string{"/inspect", "/report", "/report"}, asked)
	for _, l := range looks {
		require.Zero(t, l.Scripts+l.Handlers+l.Images)
		require.Greater(t, l.Alerts, 1000, "the texts are shown as they are")
		require.LessOrEqual(t, l.ScrollWidth, l.Width, "long texts do not widen the page")
		require.Len(t, l.Charts, 11)
	}
}

// The check itself must be able to fail: it sees a script, an error on the console, a page that is too wide, a chart without names.
func TestTheBrowserCheckSeesWhatIsWrong(t *testing.T) {
	browser := chromium(t)
	looks, console, asked := inspect(t, browser, `<!DOCTYPE html><link rel="icon" href="data:,"><body style="color:#999"><div style="width:900px">wide</div>`+
		`<img src="/fetched"><svg viewBox="0 0 1 1"><text x="5">cut</text></svg><script>console.error("wrong")</script>`)
	require.Equal(t, 900, looks[0].ScrollWidth/100*100)
	require.Equal(t, 1, looks[0].Scripts)
	require.Equal(t, 1, looks[0].Images)
	require.Less(t, looks[0].Contrast, 4.5)
	require.Empty(t, looks[0].Charts[0].Title)
	require.Empty(t, looks[0].Charts[0].Axes)
	require.NotEmpty(t, looks[0].Charts[0].Cut)
	require.Contains(t, asked, "/fetched")
	require.Contains(t, strings.Join(console, "\n"), "wrong")
}

// A report of nothing is a page too.
func TestAnEmptyReportInABrowser(t *testing.T) {
	looks, console, _ := inspect(t, chromium(t), page(t, report.Data{}))
	require.Len(t, console, 1, "%q", console)
	require.LessOrEqual(t, looks[0].ScrollWidth, 390)
	require.Empty(t, looks[0].Charts)
}
