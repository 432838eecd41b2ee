package libtorch

import (
	"fmt"
	"strings"
)

// shellQuote returns s as one word for sh.
func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// goQuote returns s as one word of CXX, CGO_LDFLAGS or GOFLAGS, in which the go command knows quotes but no escapes.
func goQuote(s string) (string, error) {
	switch {
	case s != "" && !strings.ContainsAny(s, " \t\n\r'\""):
		return s, nil
	case !strings.Contains(s, "'"):
		return "'" + s + "'", nil
	case !strings.Contains(s, `"`):
		return `"` + s + `"`, nil
	}
	return "", fmt.Errorf("%s holds both kinds of quotes, for which the go command has no way", s)
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

// goSplit splits a value as the go command does: blanks part the words, a word may stand in quotes of either kind.
func goSplit(s string) ([]string, error) {
	var words []string
	for s = strings.TrimLeft(s, " \t\n\r"); s != ""; s = strings.TrimLeft(s, " \t\n\r") {
		if q := s[0]; q == '\'' || q == '"' {
			end := strings.IndexByte(s[1:], q)
			if end < 0 {
				return nil, fmt.Errorf("a quote is never closed in %s", s)
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
