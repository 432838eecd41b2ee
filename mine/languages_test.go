package mine_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/blevesearch/bleve/v2/registry"
	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/mine"
)

// The expected terms are those of the tests of Lucene 9's analyzers (lucene/analysis/common, TestGermanAnalyzer and so
// on), where the comment of the row names no other reference.
func TestAnalyzersDoWhatLucenesDo(t *testing.T) {
	for _, c := range []struct{ analyzer, text, terms string }{
		{"german", "Tisch Tische Tischen", "tisch tisch tisch"},
		{"german", "Schaltflächen Schaltflaechen", "schaltflach schaltflach"},
		{"german", "Die Häuser und das Haus in der STRASSE, Straße", "haus haus strass strass"}, // GermanLightStemmer
		{"german", "STRAẞE \u212Aelvin", "strass kelvin"},                                       // the second word begins with the sign of Kelvin
		{"french", "le la chien les aux chat du des à cheval", "chien chat cheval"},
		{"french", "lances chismes habitable chiste éléments captifs", "lanc chism habitabl chist element captif"},
		{"french", "finissions souffrirent rugissante", "finision soufrirent rugisant"},
		{"french", "voir l'embrouille, aujourd'hui", "voir embrouil aujourd'hui"},
		{"french", "Jean-François 33Bis 1940-1945", "jean francoi 33bi 1940 1945"},
		{"french", "sécuritaires securitaires Votre", "securitair securitair"},
		{"spanish", "chicana chicano los", "chican chican"},
		{"italian", "abbandonata abbandonati dallo", "abbandonat abbandonat"},
		{"italian", "dell'Italia l'Italiano", "ital italian"},
		{"portuguese", "quilométricas quilométricos não", "quilometric quilometric"},
		{"dutch", "lichaamsziek lichamelijk lichamelijke lichamelijkheden Zelf", "lichaamsziek licham licham licham"},
		{"dutch", "opheffen opheffende opheffing", "opheff opheff opheff"},
		{
			"russian", "Вместе с тем о силе электромагнитной энергии имели представление еще",
			"вмест сил электромагнитн энерг имел представлен",
		},
		{"russian", "Но знание это хранилось в тайне", "знан эт хран тайн"},
		{"arabic", "كبير كبيرة مشروب مشروبات", "كبير كبير مشروب مشروب"},
		{"arabic", "أمريكيين امريكي كتاب الكتاب", "امريك امريك كتاب كتاب"},
		{"arabic", "الذين ملكت أيمانكم", "ملكت ايمانكم"},
		{"arabic", "١٢٣٤ English text.", "1234 english text"},
		{"persian", "می\u200cخورد خواهد خورد خورده\u200cاست ۱۲", "خورد خورد خورده 12"},
		{"sorani", "پیاو پیاوە", "پیاو پیاو"},
		{"danish", "undersøg undersøgelse på", "undersøg undersøg"},
		{"swedish", "jaktkarlarne jaktkarlens och", "jaktkarl jaktkarl"},
		{"norwegian", "havnedistriktene havnedistrikter det", "havnedistrikt havnedistrikt"},
		{"finnish", "edeltäjiinsä edeltäjistään olla", "edeltäj edeltäj"},
		{"hungarian", "babakocsi babakocsijáért által", "babakocs babakocs"},
		{"romanian", "absenţa absenţi absența absenți îl", "absenţ absenţ absenţ absenţ"}, // with commas: Lucene 10
		{"turkish", "ağacı ağaç dolayı Kıbrıs'ta Gölü'ne", "ağaç ağaç kıbrıs göl"},
		{"turkish", "IŞIK ışık İSTANBUL istanbul", "ışık ışık istanbul istanbul"}, // TestTurkishLowerCaseFilter
		{"cjk", "一二三四五六七八九十", "一二 二三 三四 四五 五六 六七 七八 八九 九十"},
		{"cjk", "一 二三四 五六七八九 十", "一 二三 三四 五六 六七 七八 八九 十"},
		{"cjk", "あいうえおabcかきくけこ", "あい いう うえ えお abc かき きく くけ けこ"},
		{"cjk", "あいうえおabんcかきくけ こ", "あい いう うえ えお ab ん c かき きく くけ こ"},
		{"cjk", "一 روبرت موير", "一 روبرت موير"},
		{"cjk", "𩬅艱鍟䇹愯瀛", "𩬅艱 艱鍟 鍟䇹 䇹愯 愯瀛"},
		{"cjk", "ﾔｶﾝのＡＢＣ", "ヤカ カン ンの abc"},                           // TestCJKWidthFilter
		{"cjk", "한국어 주전자는", "한국 국어 주전 전자 자는"},                        // TestCJKBigramFilter
		{"cjk", "กาน้ำ", "กา าน น้ ้ำ"},                              // none: Lucene splits Thai by dictionary
		{"cjk", "多くの学生が試験に落ちた。", "多く くの の学 学生 生が が試 試験 験に に落 落ち ちた"}, // TestCJKBigramFilter
	} {
		t.Run(c.analyzer+" "+c.text, func(t *testing.T) {
			a, err := mine.AnalyzerNamed(c.analyzer)
			require.NoError(t, err)
			require.Equal(t, strings.Fields(c.terms), a.Terms(c.text))
		})
	}
}

// The generator's lists, which package generate cannot take from bleve, are bleve's.
func TestStopWordsAreThoseOfTheAnalyzers(t *testing.T) {
	file, err := os.ReadFile(filepath.Join("..", "internal", "language", "stopwords.txt"))
	require.NoError(t, err)
	codes := map[string]string{
		"arabic": "ar", "danish": "da", "dutch": "nl", "english": "en", "finnish": "fi", "french": "fr", "german": "de",
		"hungarian": "hu", "italian": "it", "norwegian": "no", "persian": "fa", "portuguese": "pt", "romanian": "ro",
		"russian": "ru", "sorani": "ckb", "spanish": "es", "swedish": "sv", "turkish": "tr",
	}
	cache := registry.NewCache()
	seen := 0
	for line := range strings.Lines(string(file)) {
		fields := strings.Fields(line)
		if fields[0] == "#" {
			continue
		}
		list, err := cache.TokenMapNamed("stop_" + codes[fields[0]])
		require.NoError(t, err, fields[0])
		words := map[string]bool{}
		for entry := range list {
			for _, w := range strings.Fields(entry) {
				words[w] = true
			}
		}
		require.Len(t, fields[1:], len(words), fields[0])
		for _, w := range fields[1:] {
			require.True(t, words[w], "%s: %s", fields[0], w)
		}
		seen++
	}
	require.Equal(t, len(codes), seen)
}

func TestEveryLanguageHasAnAnalyzer(t *testing.T) {
	for language, name := range map[retort.Language]string{
		"": "english", "english": "english", "german": "german", "chinese": "cjk", "japanese": "cjk", "korean": "cjk", "thai": "cjk",
		"burmese": "cjk", "sorani": "sorani", "klingon": "english",
	} {
		require.Equal(t, name, fmt.Sprint(mine.LanguageAnalyzer(language)), language)
	}
	for _, name := range mine.AnalyzerNames() {
		a, err := mine.AnalyzerNamed(name)
		require.NoError(t, err)
		require.Equal(t, name, fmt.Sprint(a))
	}
	_, err := mine.AnalyzerNamed("latin")
	require.ErrorContains(t, err, `no analyzer "latin", only arabic, cjk, code, danish`)
}

// A stage whose ranking depends on the analyzer is done anew where the analyzer has changed, even if no term has.
func TestFingerprintTellsAnalyzersApart(t *testing.T) {
	seen := map[string]string{}
	for _, name := range mine.AnalyzerNames() {
		a, err := mine.AnalyzerNamed(name)
		require.NoError(t, err)
		print := newBM25(t, mine.BM25Options{Analyzer: a}, "xyz").Fingerprint()
		require.Empty(t, seen[print], "%s", name)
		seen[print] = name
	}
}

func FuzzAnalyzersOfLanguages(f *testing.F) {
	for _, s := range []string{
		"", "\xff\xfe's", "ȺȾ ΣΑΣ İ", "中文カタカナ한국ไทย", strings.Repeat("ung", 4000), "l'l'l'", "می\u200cخورد", "\u0300\u200d\U0001F469", "لللل ال و",
		strings.Repeat("ا", 300), "aaa éé ÿ", "ﾞﾟ", strings.Repeat("水", 300), "ә ş ţ",
	} {
		f.Add(s)
	}
	var all []mine.Analyzer
	for _, name := range mine.AnalyzerNames() {
		a, err := mine.AnalyzerNamed(name)
		require.NoError(f, err)
		all = append(all, a)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, a := range all {
			terms := a.Terms(text)
			require.Equal(t, terms, a.Terms(text), "the same text has the same terms")
			for _, term := range terms {
				require.NotEmpty(t, term)
				require.True(t, utf8.ValidString(term), "%s: %q", a, term)
			}
		}
	})
}

func TestTheAnalyzerOfMostPassagesIsDetected(t *testing.T) {
	const german, english = "Die Kanne wird mit Essig gefüllt und nach einer Stunde mit Wasser gespült.",
		"Fill the kettle with vinegar and rinse it with water after an hour."
	for _, c := range []struct {
		texts           []string
		analyzer, found string
	}{
		{[]string{english, english}, "english", "english 100%: analyzer english"},
		{[]string{german, german, english, "Kanne"}, "german", "german 50%, english 25%, unknown 25%: analyzer german"},
		{[]string{"水壶里的水垢用白醋清除。", english, "水壶里的水垢用白醋清除。"}, "cjk", "chinese 67%, english 33%: analyzer cjk"},
		{[]string{german, "x", "x", "x", "x"}, "english", "german 20%, unknown 80%: analyzer english"},
	} {
		var passages []retort.Passage
		for i, text := range c.texts {
			passages = append(passages, retort.Passage{ID: fmt.Sprint(i), Text: text})
		}
		corpus, err := retort.NewCorpus(passages)
		require.NoError(t, err)
		analyzer, found, err := mine.DetectAnalyzer(t.Context(), corpus)
		require.NoError(t, err)
		require.Equal(t, c.analyzer, fmt.Sprint(analyzer))
		require.Equal(t, c.found, found)
	}
}
