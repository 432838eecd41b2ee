package mine_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/retort-ir/retort/mine"
	"github.com/stretchr/testify/require"
)

// What Lucene's EnglishAnalyzer makes of the same texts.
func TestEnglishDoesWhatLuceneDoes(t *testing.T) {
	for _, c := range []struct{ name, text, terms string }{
		{"empty", "", ""},
		{"blank", " \t\n", ""},
		{
			"all 33 stop words",
			"a an and are as at be but by for if in into is it no not of on or such that the their then there " +
				"these they this to was will with", "",
		},
		{"stop words of longer lists stay", "from have we you", "from have we you"},
		{"stop words in upper case", "The NOT", ""},
		{"possessive, three apostrophes", "steven's steven\u2019s steven\uFF07s", "steven steven steven"},
		{"possessive of a stop word", "it's", ""},
		{"apostrophe inside", "don't", "don't"},
		{"hyphen separates", "state-of-the-art", "state art"},
		{"underscore and dot join", "foo_bar net.http", "foo_bar net.http"},
		{"numbers stay whole", "3.14 1,000 42nd", "3.14 1,000 42nd"},
		{"case and accents", "Naïve CAFÉ", "naïv café"},
		{"not UTF-8 separates", "wing\xffbody", "wing bodi"},
		{"ideographs are words of one", "中文 text", "中 文 text"},
		{"long words are cut", strings.Repeat("é", 255) + "cats", strings.Repeat("é", 255) + " cat"},
		{"small letters of fewer bytes", "İstanbul ẞx", "istanbul ßx"},
		{"emoji and punctuation are none", "go! ... ???", "go"},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Equal(t, strings.Fields(c.terms), mine.English().Terms(c.text))
		})
	}
}

// The examples of Porter 1980, step by step, and the two departures of his C version (possibli, archaeologi).
func TestEnglishStemsByPortersAlgorithm(t *testing.T) {
	for word, stem := range map[string]string{
		"caresses": "caress", "ponies": "poni", "ties": "ti", "cats": "cat",
		"feed": "feed", "agreed": "agre", "plastered": "plaster", "motoring": "motor", "sing": "sing",
		"conflated": "conflat", "troubled": "troubl", "sized": "size", "hopping": "hop", "falling": "fall", "filing": "file",
		"happy": "happi", "sky": "sky",
		"relational": "relat", "conditional": "condit", "valenci": "valenc", "digitizer": "digit", "radicalli": "radic",
		"vietnamization": "vietnam", "operator": "oper", "decisiveness": "decis", "sensibiliti": "sensibl",
		"triplicate": "triplic", "formative": "form", "electrical": "electr", "hopeful": "hope", "goodness": "good",
		"revival": "reviv", "allowance": "allow", "airliner": "airlin", "adjustable": "adjust", "replacement": "replac",
		"adoption": "adopt", "communism": "commun", "activate": "activ", "effective": "effect", "bowdlerize": "bowdler",
		"probate": "probat", "rate": "rate", "cease": "ceas", "controll": "control", "roll": "roll",
		"possibly": "possibl", "archaeology": "archaeolog",
	} {
		require.Equal(t, []string{stem}, mine.English().Terms(word), word)
	}
}

func TestAWordOfMegabytesIsHarmless(t *testing.T) {
	text := strings.Repeat("y", 4<<20)
	require.Len(t, mine.English().Terms(text), (4<<20)/255+1)
	require.Len(t, mine.Code().Terms(text), (4<<20)/255+1)
}

func TestCodeSplitsIdentifiers(t *testing.T) {
	for _, c := range []struct{ text, terms string }{
		{"net/http.Server.Shutdown", "net http server shutdown"},
		{"ReadAll", "read all"},
		{"readAll", "read all"},
		{"HTTPServer", "http server"},
		{"ServeHTTP", "serv http"},
		{"utf8 int64", "utf8 int64"},
		{"unicode/utf8.RuneCountInString", "unicod utf8 rune count string"},
		{"UTF8String base64Encode", "utf8 string base64 encod"},
		{"parse URLs and IDs", "pars url id"},
		{"IPv4 ParseIPv6Addr", "ipv4 pars ipv6 addr"},
		{"GetID x.Y", "get id x y"},
		{"max_idle_conns --max-idle Content-Type", "max idl conn max idl content type"},
		{"std::vector a:b C:\\temp", "std vector b c temp"},
		{"version 1.24.3 of Go.", "version 1.24.3 go"},
		{"the Server's handlers", "server handler"},
		{"ÉcoleNormale", "école normal"},
		{"reads lines from files", "read line from file"},
		{"", ""},
	} {
		t.Run(c.text, func(t *testing.T) {
			require.Equal(t, strings.Fields(c.terms), mine.Code().Terms(c.text))
		})
	}
}

func TestEnglishLeavesIdentifiersWhole(t *testing.T) {
	require.Equal(t, []string{"readal", "http.server"}, mine.English().Terms("ReadAll http.Server"))
}

func FuzzAnalyzers(f *testing.F) {
	for _, s := range []string{
		"", "net/http.Server.ListenAndServe", "The wing's boundary layers", "\xff\xfe's", "'s 's", "ȺȾ ΣΑΣ İ", "中文カタカナ",
		strings.Repeat("ing",
			4000), "y yy yyy ied eed ational", "\u0300\u200d\U0001F469\u200d\U0001F4BB", "A.B.C._/-", "1.2.a.3",
	} {
		f.Add(s)
	}
	english, code := mine.English(), mine.Code()
	f.Fuzz(func(t *testing.T, text string) {
		for _, a := range []mine.Analyzer{english, code} {
			terms := a.Terms(text)
			require.Equal(t, terms, a.Terms(text), "the same text has the same terms")
			for _, term := range terms {
				require.NotEmpty(t, term)
				require.True(t, utf8.ValidString(term), "%q", term)
			}
		}
	})
}
