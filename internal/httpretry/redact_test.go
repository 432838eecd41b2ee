package httpretry

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/internal/faultproxy"
)

func TestACommonKeyIsRedactedWhereItIsACredential(t *testing.T) {
	for _, c := range []struct{ key, text, want string }{
		{"test", "this is a test of the tester's test", ""},
		{"test", "HTTP 404: the model 'test' does not exist", ""},
		{"test", "bad header Authorization: Bearer test", "bad header Authorization: Bearer [API key]"},
		{"test", `map[Authorization:[Bearer test] Accept:[test]]`, `map[Authorization:[Bearer [API key]] Accept:[test]]`},
		{
			"test", "Incorrect API key provided: test. You can test it",
			"Incorrect API key provided: [API key]. You can test it",
		},
		{"test", `invalid token "test"`, `invalid token "[API key]"`},
		{"test", "the key test is wrong", "the key [API key] is wrong"},
		{"test", "your API key is: 'test'", "your API key is: '[API key]'"},
		{"test", "a token testifies", ""},
		{"EMPTY", "the prompt is EMPTY", ""},
		{"1234", "1234 of 12345 tokens", ""},
		{"x", "Bearer x, x and X", "Bearer [API key], x and X"},
		{"ollama", "ollama runs no such model", ""},
	} {
		if c.want == "" {
			c.want = c.text
		}
		require.Equal(t, c.want, newRedactor(c.key)(c.text), c.key)
	}
}

func TestARealKeyIsRedactedEverywhere(t *testing.T) {
	for _, key := range []string{
		"sk-proj-Ab3xYz90QqWw77", "s3cr3tk3y", "AbCdEfGhIjKl", "correcthorsebattery", "a1b2c3", "hunterpass", "x1",
		"0123456789abcdef", `qu"o\te-7&<+/=`, "sk-no-key-required",
	} {
		redact := newRedactor(key)
		for _, text := range []string{
			"%s", "wrong: %s.", "<%s>", `{"key":"%s"}`, "%s %s", "key=%s&x", "https://host/?key=%s", "x\n%s\ny", "'%s'",
			"(%s)/%s",
		} {
			text = strings.ReplaceAll(text, "%s", key)
			got := redact(text)
			require.NotContains(t, got, key)
			require.NotContains(t, redact(fmt.Sprintf("%q", text)), strings.Trim(fmt.Sprintf("%q", key), `"`))
		}
	}
	require.NotContains(t, newRedactor("sk-proj-Ab3xYz90QqWw77")("keysk-proj-Ab3xYz90QqWw77end"), "Ab3x", "glued to words")
}

func TestCredentialsInAddressesAreRedacted(t *testing.T) {
	for text, want := range map[string]string{
		`Get "https://me:pass@host/v1": no such host`:        `Get "https://[credentials]@host/v1": no such host`,
		"http://token@host:80 and http://a:b@c":              "http://[credentials]@host:80 and http://[credentials]@c",
		"http://a:p@ss@host/x":                               "http://[credentials]@host/x",
		"https://host/v1?api_key=s3cret&model=m":             "https://host/v1?api_key=[credentials]&model=m",
		"https://host/v1?model=m&access_token=s3cret#x":      "https://host/v1?model=m&access_token=[credentials]#x",
		"https://host/?sig=abc":                              "https://host/?sig=[credentials]",
		"see https://platform.openai.com/account/api-keys.":  "see https://platform.openai.com/account/api-keys.",
		"mail me@host or https://host/@me":                   "mail me@host or https://host/@me",
		"https://host/v1?design=flat":                        "https://host/v1?design=flat",
		"invalid proxy address \"http://me:pw@proxy:99999\"": "invalid proxy address \"http://[credentials]@proxy:99999\"",
	} {
		require.Equal(t, want, RedactURLs(text))
		require.Equal(t, want, newRedactor("test")(text))
	}
	err := RedactURLsOf(fmt.Errorf("http://me:pw@host: %w", fs.ErrNotExist))
	require.EqualError(t, err, "http://[credentials]@host: file does not exist")
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.NoError(t, RedactURLsOf(nil))
}

func TestAnswersComeAsTheyWereSent(t *testing.T) {
	for _, key := range []string{"test", "how", "sk-no-key-required", "lm-studio", "1"} {
		t.Setenv(keyVariable, key)
		body := `{"text":"how do I test a pump, Bearer ` + key + `, lm-studio, 1"}`
		p := faultproxy.Always(t, echo, faultproxy.Answer(200, "application/json", body))
		got, err := post(t.Context(), newClient(t, Options{KeyVariable: keyVariable}), p.URL)
		require.NoError(t, err)
		require.Equal(t, body, got)
	}
}

func TestAnAnswerWithTheKeyIsRefused(t *testing.T) {
	t.Setenv(keyVariable, sentinel)
	p := faultproxy.Always(t, echo, faultproxy.Answer(200, "application/json", `{"text":"your key `+sentinel+`"}`))
	_, err := post(t.Context(), newClient(t, Options{KeyVariable: keyVariable}), p.URL)
	require.ErrorIs(t, err, errHoldsKey)
	require.NotContains(t, err.Error(), sentinel)
	require.Len(t, p.Requests(), 1)
}

func TestAKeyAtTheCutOfAMessageIsRedacted(t *testing.T) {
	t.Setenv(keyVariable, sentinel)
	for offset := maxMessage - len(sentinel) - 2; offset <= maxMessage; offset++ {
		p := faultproxy.Always(t, echo, faultproxy.Answer(400, "text/plain", strings.Repeat("x", offset)+sentinel))
		_, err := post(t.Context(), newClient(t, Options{KeyVariable: keyVariable}), p.URL)
		require.NotContains(t, err.Error(), sentinel[:4])
	}
}

func TestARedactedErrorKeepsItsStatus(t *testing.T) {
	t.Setenv(keyVariable, "s3cr3tk3y")
	p := faultproxy.Always(t, echo, faultproxy.Answer(401, "application/json",
		`{"error":{"message":"no such key: s3cr3tk3y"}}`))
	// The path holds the key too, which is redacted after the message.
	_, err := post(t.Context(), newClient(t, Options{KeyVariable: keyVariable}), p.URL+"/s3cr3tk3y")
	status := (*StatusError)(nil)
	require.True(t, errors.As(err, &status))
	require.Equal(t, http.StatusUnauthorized, status.Code)
	require.Equal(t, "no such key: [API key]", status.Message)
	require.NotContains(t, err.Error(), "s3cr3tk3y")
	require.NotContains(t, fmt.Sprintf("%+v %#v", err, err), "s3cr3tk3y")
}

func FuzzRedact(f *testing.F) {
	f.Add("sk-proj-Ab3xYz90QqWw77", "a ", " b")
	f.Add("test", "Bearer ", ".")
	f.Add("a1b2", "http://x:", "@host?key=1")
	f.Fuzz(func(t *testing.T, key, before, after string) {
		key = strings.Map(func(r rune) rune {
			if r <= ' ' || r > '~' {
				return -1
			}
			return r
		}, key)
		redact := newRedactor(key)
		got := redact(before + key + after)
		if key != "" && strengthOf(key) == secretKey && !strings.Contains(redactedKey+redactedCredentials, key) {
			require.NotContains(t, got, key)
		}
		_ = redact("Bearer " + key)
	})
}
