package libtorch

import (
	"fmt"
	"strings"
)

// shellQuote returns s as one word for sh.
func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// goQuote returns s as one word of CXX, CGO_LDFLAGS or GOFLAGS. The go command supports quotes there, but no escapes.
func goQuote(s string) (string, error) {
	switch {
	case s != "" && !strings.ContainsAny(s, " \t\n\r'\""):
		return s, nil
	case !strings.Contains(s, "'"):
		return "'" + s + "'", nil
	case !strings.Contains(s, `"`):
		return `"` + s + `"`, nil
	}
	return "", fmt.Errorf("%s contains both kinds of quotes, which the go command does not support", s)
}

func goJoin(words []string) (string, error) {
	quoted := make([]string, len(words))
	for i, w := range words {
		q, err := goQuote(w)
		if err != nil {
			return "", err
		}
		quoted[i] = q
	}
	return strings.Join(quoted, " "), nil
}

// goSplit splits a value at white space, except in quotes, as the go command does.
func goSplit(s string) ([]string, error) {
	var words []string
	for s = strings.TrimLeft(s, " \t\n\r"); s != ""; s = strings.TrimLeft(s, " \t\n\r") {
		if q := s[0]; q == '\'' || q == '"' {
			end := strings.IndexByte(s[1:], q)
			if end < 0 {
				return nil, fmt.Errorf("unclosed quote in %s", s)
			}
			words, s = append(words, s[1:end+1]), s[end+2:]
			continue
		}
		end := strings.IndexAny(s, " \t\n\r")
		if end < 0 {
			end = len(s)
		}
		words, s = append(words, s[:end]), s[end:]
	}
	return words, nil
}
