package language

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheLanguageOfAText(t *testing.T) {
	for _, c := range []struct{ language, text string }{
		{"english", "Vinegar removes limescale from the kettle. Rinse it with water after that."},
		{"german", "Füllen Sie den Kocher mit Essig und lassen Sie ihn eine Stunde lang stehen."},
		{"french", "Remplissez la bouilloire de vinaigre et laissez-la reposer pendant une heure."},
		{"spanish", "Llene el hervidor con vinagre y déjelo reposar durante una hora con la tapa puesta."},
		{"italian", "Riempite il bollitore di aceto e lasciatelo riposare per un'ora con il coperchio."},
		{"portuguese", "Encha a chaleira com vinagre e deixe repousar durante uma hora com a tampa posta."},
		{"dutch", "Vul de waterkoker met azijn en laat hem een uur staan met het deksel erop."},
		{"danish", "Fyld kedlen med eddike, og lad den stå i en time, så den bliver ren. Skyl den af, når det er sket."},
		{"swedish", "Fyll kokaren med ättika och låt den stå i en timme innan du sköljer ur den."},
		{"finnish", "Täytä keitin etikalla ja anna sen seistä tunti, jotta se on puhdas ja kuiva."},
		{"hungarian", "Töltse meg a vízforralót ecettel, és hagyja állni egy órán át, majd öblítse ki."},
		{"romanian", "Umpleți fierbătorul cu oțet și lăsați-l să stea o oră, apoi clătiți-l cu apă."},
		{"turkish", "Su ısıtıcısını sirke ile doldurun ve bir saat kadar bekletin, daha sonra çok iyi durulayın."},
		{"russian", "Налейте в чайник уксус и оставьте его на час, а потом промойте водой."},
		{"arabic", "املأ الإبريق بالخل ثم اتركه لمدة ساعة كاملة قبل أن تشطفه من الداخل"},
		{"persian", "کتری را با سرکه پر کنید و آن را برای یک ساعت رها کنید"},
		{"chinese", "用白醋可以清除茶壶里的水垢。每月清洗一次。"},
		{"chinese", "请把 Model X20 的面包屑托盘清空，然后用湿布擦拭外壳，最后晾干。"},
		{"japanese", "やかんの水垢は酢で落とせます。カタカナのケトルも同じです。"},
		{"korean", "주전자의 물때는 식초로 제거할 수 있습니다."},
		{"thai", "ทำความสะอาดกาต้มน้ำด้วยน้ำส้มสายชู เดือนละครั้ง"},
		{"english", "The teapot is called 茶壶 and it is made of clay from Yixing, which is a city."},
		// What says too little.
		{"", ""},
		{"", "12 34 56"},
		{"", "Wasserkocher aus Stahl"},
		{"", "wing flutter transonic speeds"},
		{"", "func (c *Conn) Close() error"},
		{"", "Χρησιμοποιήστε ξύδι για να καθαρίσετε τον βραστήρα"},
	} {
		name, latin := Of(c.text)
		require.Equal(t, c.language, name, c.text)
		if name == "" && c.text != "" {
			require.Equal(t, c.text[0] < 0x80, latin, c.text)
		}
	}
}

func FuzzOf(f *testing.F) {
	for _, s := range []string{"", "the and of", "\xff", "中カ한ไ", "ا ب", "İ ß"} {
		f.Add(s)
	}
	known := map[string]bool{"": true}
	for _, n := range append([]string{Chinese, Japanese, Korean, Thai, Lao, Khmer, Burmese}, names...) {
		known[n] = true
	}
	f.Fuzz(func(t *testing.T, text string) {
		name, _ := Of(text)
		require.True(t, known[name], name)
	})
}

func TestWordsOfScriptsWithoutSpacesAreCounted(t *testing.T) {
	for text, want := range map[string]int{
		"":                0,
		"one two - three": 3,
		"清除水垢":            2,
		"清除 水垢 X20":       3,
		"ケトルの水垢":          3,
		"ล้างกาน้ำ":       3,
		"주전자 물때":          2,
	} {
		require.Equal(t, want, CountWords(text), text)
	}
	require.Equal(t, "a  水  垢 b", SplitUnspaced("a 水垢b"))
	require.Equal(t, "kettle", SplitUnspaced("kettle"))
	require.Equal(t, []string{"a", "水垢", "垢清", "b", "水"}, PairUnspaced([]string{"a", "水", "垢", "清", "b", "水"}))
}
