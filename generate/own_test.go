package generate

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestIsIdentifierAndItsLastPart(t *testing.T) {
	for title, last := range map[string]string{
		"net/http.Server.Shutdown":   "Shutdown",
		"net/http":                   "http",
		"json.Marshal":               "Marshal",
		"func Marshal(v)":            "Marshal",
		"std::vector::push_back":     "push_back",
		"Array#flatten":              "flatten",
		"setState()":                 "setState",
		"printf(3)":                  "printf",
		"camelCase":                  "camelCase",
		"snake_case":                 "snake_case",
		"class ThreadPool":           "ThreadPool",
		"Vitamin":                    "",
		"Vitamin D":                  "",
		"Reset your password.":       "",
		"wing in a slipstream .":     "",
		"The state of S. cerevisiae": "",
		"COVID-19":                   "",
		"\xff":                       "",
		"\xe4dit\xe9 du 3 mai":       "",
		"":                           "",
	} {
		require.Equal(t, last != "", isIdentifier(title), title)
		if last != "" {
			require.Equal(t, last, lastIdentifier(withoutKind(title)), title)
		}
	}
}

func TestOwnNamesAreFoundWhole(t *testing.T) {
	for _, c := range []struct {
		title, text string
		want        bool
	}{
		{"net/http.Server.Shutdown", "call Shutdown first", true},
		{"net/http.Server.Shutdown", "call srv.Shutdown() first", true},
		{"net/http.Server.Shutdown", "Shutdown's context", true},
		{"net/http.Server.Shutdown", "how to shut down gracefully", false},
		{"net/http.Server.Shutdown", "a graceful shutdown", false}, // the word, not the symbol
		{"net/http.Server.ListenAndServe", "how listenandserve works", true},
		{"net/http.Server.ListenAndServe", "listen and serve", false},
		{"net/url.URL", "parse a url", true},
		{"net/http", "clients in net/http", true},
		{"net/http", "speak HTTP/2", false},
		{"Vitamin D", "sources of vitamin d in winter", true},
		{"Vitamin D", "vitamin and mineral d-dimers", false},
		{"Breast cancer: survival", "Breast Cancer Survival", true},
		{"", "anything", false},
	} {
		require.Equal(t, c.want, ownNames(c.title, false).isIn(c.text), "%s in %q", c.title, c.text)
	}
	require.True(t, ownNames("append", true).isIn("use append here"), "a plain word is a symbol among identifiers")
}

func TestOwnSymbolIsTakenOut(t *testing.T) {
	for _, c := range []struct{ title, text, want string }{
		{"os.Expand", "ExpandEnv is equivalent to Expand(s, os.Getenv).", "ExpandEnv is equivalent to."},
		{"net/http.Server", "Close the Server, or any [Server] at all.", "Close, or any at all."},
		{"encoding/json.Marshal", "See json.Marshal and encoding/json.Marshal for more.", "See and for more."},
		{"Vitamin D", "Vitamin D stays.", "Vitamin D stays."},
	} {
		require.Equal(t, c.want, ownNames(c.title, false).without(c.text))
	}
}

func TestBaseForm(t *testing.T) {
	for verb, want := range map[string]string{
		"shuts": "shut", "returns": "return", "copies": "copy", "closes": "close", "parses": "parse", "normalizes": "normalize",
		"flushes": "flush", "fixes": "fix", "matches": "match", "caches": "cache", "passes": "pass", "goes": "go", "does": "do",
		"ties": "tie", "saves": "save", "Reads": "read", "uses": "use",
		"is": "", "has": "", "this": "", "status": "", "access": "", "analysis": "", "read": "", "its": "", "server's": "", "": "",
	} {
		base, ok := baseForm(verb)
		require.Equal(t, want != "", ok, verb)
		require.Equal(t, want, base, verb)
	}
}

func TestNormalize(t *testing.T) {
	for in, want := range map[string]string{
		"  How do I RESET\tmy password?! ": "how do i reset my password",
		"ﬁle ２.5":                          "file 2.5",
		"state-of-the-art":                 "state-of-the-art",
		"don't -- stop.":                   "don't stop",
		"Café":                             Normalize("Cafe\u0301"),
		"?!":                               "",
	} {
		require.Equal(t, want, Normalize(in))
	}
}
