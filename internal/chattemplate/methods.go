package chattemplate

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// stringMethods are those of Python's str that chat templates use.
var stringMethods = map[string]func(string, args) (any, error){
	"strip":      func(s string, a args) (any, error) { return strip(s, a, true, true) },
	"lstrip":     func(s string, a args) (any, error) { return strip(s, a, true, false) },
	"rstrip":     func(s string, a args) (any, error) { return strip(s, a, false, true) },
	"upper":      func(s string, a args) (any, error) { return strings.ToUpper(s), none(a) },
	"lower":      func(s string, a args) (any, error) { return strings.ToLower(s), none(a) },
	"title":      func(s string, a args) (any, error) { return title(s), none(a) },
	"capitalize": func(s string, a args) (any, error) { return capitalize(s), none(a) },
	"replace":    replace,
	"startswith": func(s string, a args) (any, error) { return affix(s, a, strings.HasPrefix) },
	"endswith":   func(s string, a args) (any, error) { return affix(s, a, strings.HasSuffix) },
	"removeprefix": func(s string, a args) (any, error) {
		return onText(a, func(t string) any { return strings.TrimPrefix(s, t) })
	},
	"removesuffix": func(s string, a args) (any, error) {
		return onText(a, func(t string) any { return strings.TrimSuffix(s, t) })
	},
	"count": func(s string, a args) (any, error) {
		return onText(a, func(t string) any { return int64(strings.Count(s, t)) })
	},
	"find":   func(s string, a args) (any, error) { return onText(a, func(t string) any { return find(s, t) }) },
	"split":  func(s string, a args) (any, error) { return split(s, a, false) },
	"rsplit": func(s string, a args) (any, error) { return split(s, a, true) },
	"splitlines": func(s string, a args) (any, error) {
		if strings.Count(s, "\n") > maxRange {
			return nil, errTooManyParts
		}
		return toList(strings.Split(strings.TrimSuffix(strings.ReplaceAll(s, "\r\n", "\n"), "\n"), "\n")), none(a)
	},
	"join": func(s string, a args) (any, error) {
		b, err := a.bind("iterable")
		if err != nil {
			return nil, err
		}
		items, err := iterate(b[0])
		if err != nil {
			return nil, err
		}
		return joinItems(items, s)
	},
}

var dictMethods = map[string]func(*dict, args) (any, error){
	"items": func(d *dict, a args) (any, error) { return d.items(), none(a) },
	"keys":  func(d *dict, a args) (any, error) { return toList(d.keys), none(a) },
	"values": func(d *dict, a args) (any, error) {
		values := make([]any, len(d.keys))
		for i, k := range d.keys {
			values[i] = d.values[k]
		}
		return values, none(a)
	},
	"get": func(d *dict, a args) (any, error) {
		b, err := a.bind("key", "default")
		if err != nil {
			return nil, err
		}
		if name, ok := b[0].(string); ok {
			if v, ok := d.values[name]; ok {
				return v, nil
			}
		}
		if b[1] == missing {
			return nil, nil
		}
		return b[1], nil
	},
}

func toList(parts []string) []any {
	list := make([]any, len(parts))
	for i, p := range parts {
		list[i] = p
	}
	return list
}

// strip removes white space, or the letters that the argument has, from the ends.
func strip(s string, a args, left, right bool) (any, error) {
	b, err := a.bind("chars")
	if err != nil {
		return nil, err
	}
	drop := unicode.IsSpace
	if letters, ok := b[0].(string); ok {
		drop = func(r rune) bool { return strings.ContainsRune(letters, r) }
	}
	if left {
		s = strings.TrimLeftFunc(s, drop)
	}
	if right {
		s = strings.TrimRightFunc(s, drop)
	}
	return s, nil
}

func replace(s string, a args) (any, error) {
	b, err := a.bind("old", "new", "count")
	if err != nil {
		return nil, err
	}
	from, ok1 := b[0].(string)
	to, ok2 := b[1].(string)
	if !ok1 || !ok2 {
		return nil, errors.New("replace needs two strings")
	}
	n := int64(-1)
	if v, ok := integer(b[2]); ok {
		n = v
	}
	if len(s)+(strings.Count(s, from)+1)*len(to) > maxText {
		return nil, errTooLong
	}
	return strings.Replace(s, from, to, int(n)), nil
}

// affix tells whether s has the argument, or one of the list that is the argument, at an end.
func affix(s string, a args, has func(s, affix string) bool) (any, error) {
	b, err := a.bind("affix")
	if err != nil {
		return nil, err
	}
	list, ok := b[0].([]any)
	if !ok {
		list = []any{b[0]}
	}
	for _, e := range list {
		text, ok := e.(string)
		if !ok {
			return nil, fmt.Errorf("%s instead of a string", typeName(e))
		}
		if has(s, text) {
			return true, nil
		}
	}
	return false, nil
}

func onText(a args, f func(string) any) (any, error) {
	b, err := a.bind("text")
	if err != nil {
		return nil, err
	}
	text, ok := b[0].(string)
	if !ok {
		return nil, errors.New("a string is needed")
	}
	return f(text), nil
}

// find returns the place of a text in letters, -1 where it is not.
func find(s, text string) int64 {
	i := strings.Index(s, text)
	if i < 0 {
		return -1
	}
	return int64(utf8.RuneCountInString(s[:i]))
}

var errTooManyParts = fmt.Errorf("a list of more than %d", maxRange)

func split(s string, a args, fromRight bool) (any, error) {
	b, err := a.bind("sep", "maxsplit")
	if err != nil {
		return nil, err
	}
	limit := int64(-1)
	if v, ok := integer(b[1]); ok {
		limit = v
	}
	separator, ok := b[0].(string)
	if !ok {
		if limit >= 0 {
			return nil, errors.New("split at white space with a limit is not supported")
		}
		parts := strings.Fields(s)
		if len(parts) > maxRange {
			return nil, errTooManyParts
		}
		return toList(parts), nil
	}
	if separator == "" {
		return nil, errors.New("empty separator")
	}
	if strings.Count(s, separator) > maxRange {
		return nil, errTooManyParts
	}
	parts := strings.Split(s, separator)
	if limit < 0 || int64(len(parts)) <= limit+1 {
		return toList(parts), nil
	}
	if fromRight {
		rest := len(parts) - int(limit)
		return toList(append([]string{strings.Join(parts[:rest], separator)}, parts[rest:]...)), nil
	}
	return toList(strings.SplitN(s, separator, int(limit)+1)), nil
}
