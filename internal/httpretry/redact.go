package httpretry

import (
	"errors"
	"html"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// What errors and logs hold in place of a key, and of the user, password or key in an address.
const (
	redactedKey         = "[API key]"
	redactedCredentials = "[credentials]"
)

var (
	userinfo   = regexp.MustCompile(`(://)[^/?#\s"'<>@]*(?:@[^/?#\s"'<>@]*)*@`)
	queryValue = regexp.MustCompile(
		`(?i)([?&][^=&\s"']*(?:key|token|secret|passw|pwd|auth|credential|signature|\bsig)[^=&\s"']*=)[^&#\s"'<>]+`)
)

// RedactURLs removes, from every address in the text, the user and password, and the values of query parameters whose
// names contain words such as key, token or password.
func RedactURLs(text string) string {
	text = userinfo.ReplaceAllString(text, "${1}"+redactedCredentials+"@")
	return queryValue.ReplaceAllString(text, "${1}"+redactedCredentials)
}

// RedactURLsOf returns the error with RedactURLs applied to its text. The new error still matches with errors.Is what
// the old one matched.
func RedactURLsOf(err error) error { return redactError(err, RedactURLs) }

// newRedactor returns a function that removes the key (which may be "") and the credentials of addresses from a text.
//
// A key that could be an ordinary word, such as "test" or "EMPTY", protects nothing, and removing it everywhere would
// make errors unreadable. Such a key is removed where the text presents it as a credential: behind "Bearer", "API key:"
// and the like. Words of 8 letters or more, and mixtures of letters and digits below 4 characters, are removed where
// they are whole words. Every other key is removed wherever its characters occur, also as escaped in JSON, HTML and
// addresses.
func newRedactor(key string) func(string) string {
	if key == "" {
		return RedactURLs
	}
	patterns := []*regexp.Regexp{regexp.MustCompile(credentialContext + alternatives(key) + wordEnd)}
	switch strengthOf(key) {
	case secretKey:
		patterns = append(patterns, regexp.MustCompile(`()`+alternatives(key)+`()`))
	case wordKey:
		// Applied twice, since a match consumes the character between two words.
		word := regexp.MustCompile(`(^|[^\pL\pN_-]|\\[abfnrtv])` + alternatives(key) + wordEnd)
		patterns = append(patterns, word, word)
	}
	return func(text string) string {
		for _, p := range patterns {
			text = p.ReplaceAllString(text, "${1}"+redactedKey+"${2}")
		}
		return RedactURLs(text)
	}
}

const (
	// credentialContext matches words that present the next word as a credential.
	credentialContext = `((?i:bearer|basic|authorization|authentication|credentials?|tokens?|keys?|passwords?|secrets?)` +
		`(?:\W{1,4}(?i:provided|received|given|supplied|sent|is|was|of|bearer|basic))*[^\pL\pN]{1,6})`
	wordEnd = `($|[^\pL\pN_])`
)

// strength is how likely it is that the key's characters are the key wherever they occur.
type strength int

const (
	commonKey strength = iota // short, of letters only or of digits only
	wordKey
	secretKey
)

const tinyKey, shortKey, longKey = 4, 8, 16 // characters

func strengthOf(key string) strength {
	letters := strings.ContainsFunc(key, unicode.IsLetter)
	others := strings.ContainsFunc(key, func(r rune) bool { return !unicode.IsLetter(r) })
	mixedCase := key[1:] != strings.ToLower(key[1:]) && key != strings.ToUpper(key)
	switch {
	case len(key) >= longKey, len(key) >= shortKey && (others || mixedCase), len(key) >= tinyKey && letters && others:
		return secretKey
	case len(key) >= shortKey, letters && others:
		return wordKey
	}
	return commonKey
}

// newLeakDetector returns a function that says whether an answer holds the key. It only looks for keys that no text
// holds by chance: 16 characters or more, with letters and digits.
func newLeakDetector(key string) func(answer []byte) bool {
	if len(key) < longKey || !strings.ContainsFunc(key, unicode.IsLetter) || !strings.ContainsFunc(key, unicode.IsDigit) {
		return func([]byte) bool { return false }
	}
	return regexp.MustCompile(alternatives(key)).Match
}

// alternatives returns a pattern of the forms in which servers send a key back.
func alternatives(key string) string {
	quoted := strconv.Quote(key)
	forms := []string{key, quoted[1 : len(quoted)-1], url.QueryEscape(key), url.PathEscape(key), html.EscapeString(key)}
	for i, form := range forms {
		forms[i] = regexp.QuoteMeta(form)
	}
	return "(?:" + strings.Join(forms, "|") + ")"
}

// redactError returns err itself if redact does not change its text.
func redactError(err error, redact func(string) string) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	if cleaned := redact(text); cleaned != text {
		return &redacted{cleaned, err}
	}
	return err
}

// redacted is an error whose text held a secret.
type redacted struct {
	text string
	err  error
}

func (e *redacted) Error() string        { return e.text }
func (e *redacted) Is(target error) bool { return errors.Is(e.err, target) }

// As finds a StatusError only, whose message is redacted. Other wrapped errors may hold the secret.
func (e *redacted) As(target any) bool {
	status, ok := target.(**StatusError)
	return ok && errors.As(e.err, status)
}
