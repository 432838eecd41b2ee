package chattemplate

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// filters are those of Jinja that chat templates use.
var filters map[string]func(any, args) (any, error)

// The filters map and select call filters and tests, so that the table is made when the program starts.
func init() {
	filters = map[string]func(any, args) (any, error){
		"trim":  func(v any, a args) (any, error) { return strip(toString(v), a, true, true) },
		"upper": onString(strings.ToUpper), "lower": onString(strings.ToLower), "title": onString(title),
		"capitalize": onString(capitalize), "string": onString(func(s string) string { return s }),
		"safe":   func(v any, a args) (any, error) { return v, none(a) },
		"length": lengthFilter, "count": lengthFilter,
		"default": defaultFilter, "d": defaultFilter,
		"join": joinFilter, "first": firstFilter, "last": lastFilter, "list": listFilter, "reverse": reverseFilter,
		"unique": uniqueFilter, "sort": sortFilter, "items": itemsFilter, "dictsort": dictSortFilter, "int": intFilter,
		"float": floatFilter,
		"abs":   absFilter, "indent": indentFilter, "tojson": tojson,
		"replace": func(v any, a args) (any, error) { return replace(toString(v), a) },
		"map":     mapFilter,
		"select":  selectFilter(true), "reject": selectFilter(false),
		"selectattr": selectAttrFilter(true), "rejectattr": selectAttrFilter(false),
	}
}

func none(a args) error {
	_, err := a.bind()
	return err
}

func onString(f func(string) string) func(any, args) (any, error) {
	return func(v any, a args) (any, error) { return f(toString(v)), none(a) }
}

func lengthFilter(v any, a args) (any, error) {
	if err := none(a); err != nil {
		return nil, err
	}
	return length(v)
}

func defaultFilter(v any, a args) (any, error) {
	b, err := a.bind("default_value", "boolean")
	if err != nil {
		return nil, err
	}
	_, isUndefined := v.(undefined)
	if !isUndefined && (b[1] == missing || !truth(b[1]) || truth(v)) {
		return v, nil
	}
	if b[0] == missing {
		return "", nil
	}
	return b[0], nil
}

func joinFilter(v any, a args) (any, error) {
	b, err := a.bind("d", "attribute")
	if err != nil {
		return nil, err
	}
	items, err := iterate(v)
	if err != nil {
		return nil, err
	}
	separator := ""
	if b[0] != missing {
		separator = toString(b[0])
	}
	if b[1] != missing {
		taken := make([]any, len(items))
		for i, e := range items {
			if taken[i], err = path(e, b[1]); err != nil {
				return nil, err
			}
		}
		items = taken
	}
	return joinItems(items, separator)
}

func joinItems(items []any, separator string) (any, error) {
	parts, total := make([]string, len(items)), 0
	for i, e := range items {
		parts[i] = toString(e)
		if total += len(parts[i]) + len(separator); total > maxText {
			return nil, errTooLong
		}
	}
	return strings.Join(parts, separator), nil
}

// path goes along an attribute such as "function.name".
func path(v, attribute any) (any, error) {
	for _, name := range strings.Split(toString(attribute), ".") {
		var key any = name
		if n, err := strconv.ParseInt(name, 10, 64); err == nil {
			key = n
		}
		if _, ok := v.(undefined); ok {
			return v, nil
		}
		if d, ok := v.(*dict); ok {
			if value, ok := d.values[name]; ok {
				v = value
				continue
			}
		}
		var err error
		if v, err = element(v, key); err != nil {
			return nil, err
		}
	}
	return v, nil
}

func firstFilter(v any, a args) (any, error) {
	items, err := iterate(v)
	if err = errors.Join(err, none(a)); err != nil {
		return nil, err
	}
	if len(items) == 0 {
		return undefined("there is no first item"), nil
	}
	return items[0], nil
}

func lastFilter(v any, a args) (any, error) {
	items, err := iterate(v)
	if err = errors.Join(err, none(a)); err != nil {
		return nil, err
	}
	if len(items) == 0 {
		return undefined("there is no last item"), nil
	}
	return items[len(items)-1], nil
}

func listFilter(v any, a args) (any, error) {
	items, err := iterate(v)
	return append([]any{}, items...), errors.Join(err, none(a))
}

func reverseFilter(v any, a args) (any, error) {
	items, err := iterate(v)
	if err = errors.Join(err, none(a)); err != nil {
		return nil, err
	}
	return cut(items, [3]any{nil, nil, int64(-1)})
}

func uniqueFilter(v any, a args) (any, error) {
	items, err := iterate(v)
	if err = errors.Join(err, none(a)); err != nil {
		return nil, err
	}
	if len(items) > 1000 {
		return nil, errors.New("more than 1000 items are not supported")
	}
	result := []any{}
	for _, e := range items {
		if seen, _ := contains(result, fold(e)); !seen {
			result = append(result, e)
		}
	}
	return result, nil
}

// fold ignores the case of letters, as unique and sort do by default.
func fold(v any) any {
	if s, ok := v.(string); ok {
		return strings.ToLower(s)
	}
	return v
}

func sortFilter(v any, a args) (any, error) {
	b, err := a.bind("reverse", "case_sensitive", "attribute")
	if err != nil {
		return nil, err
	}
	items, err := iterate(v)
	if err != nil {
		return nil, err
	}
	key := func(e any) any {
		if b[2] != missing {
			e, err = path(e, b[2])
		}
		if b[1] != missing && truth(b[1]) {
			return e
		}
		return fold(e)
	}
	sorted := append([]any{}, items...)
	slices.SortStableFunc(sorted, func(x, y any) int {
		order, e := compare(key(x), key(y))
		if err == nil {
			err = e
		}
		if b[0] != missing && truth(b[0]) {
			return -order
		}
		return order
	})
	return sorted, err
}

func itemsFilter(v any, a args) (any, error) {
	if err := none(a); err != nil {
		return nil, err
	}
	switch v := v.(type) {
	case *dict:
		return v.items(), nil
	case undefined:
		return []any{}, nil
	}
	return nil, fmt.Errorf("%s is no dict", typeName(v))
}

// dictSortFilter returns the pairs of a dict, sorted by key or value.
func dictSortFilter(v any, a args) (any, error) {
	b, err := a.bind("case_sensitive", "by", "reverse")
	if err != nil {
		return nil, err
	}
	d, ok := v.(*dict)
	if !ok {
		return nil, fmt.Errorf("%s is no dict", typeName(v))
	}
	column := int64(0)
	switch {
	case b[1] == missing || b[1] == "key":
	case b[1] == "value":
		column = 1
	default:
		return nil, errors.New(`"by" is "key" or "value"`)
	}
	return sortFilter(d.items(), args{named: map[string]any{"reverse": b[2], "case_sensitive": b[0], "attribute": column}})
}

func intFilter(v any, a args) (any, error) {
	b, err := a.bind("default", "base")
	if err != nil {
		return nil, err
	}
	if b[1] != missing {
		return nil, errors.New("base is not supported")
	}
	if f, ok := number(v); ok && math.Abs(f) < 1<<62 {
		return int64(f), nil
	}
	if s, ok := v.(string); ok {
		s = strings.TrimSpace(s)
		if n, err := strconv.ParseInt(s, 10, 64); err == nil {
			return n, nil
		}
		if f, err := strconv.ParseFloat(s, 64); err == nil && math.Abs(f) < 1<<62 {
			return int64(f), nil
		}
	}
	if b[0] != missing {
		return b[0], nil
	}
	return int64(0), nil
}

func floatFilter(v any, a args) (any, error) {
	b, err := a.bind("default")
	if err != nil {
		return nil, err
	}
	if f, ok := number(v); ok {
		return f, nil
	}
	if s, ok := v.(string); ok {
		if f, err := strconv.ParseFloat(strings.TrimSpace(s), 64); err == nil {
			return f, nil
		}
	}
	if b[0] != missing {
		return b[0], nil
	}
	return 0.0, nil
}

func absFilter(v any, a args) (any, error) {
	if err := none(a); err != nil {
		return nil, err
	}
	if n, ok := integer(v); ok {
		return max(n, -n), nil
	}
	if f, ok := v.(float64); ok {
		return math.Abs(f), nil
	}
	return nil, fmt.Errorf("%s is no number", typeName(v))
}

func indentFilter(v any, a args) (any, error) {
	b, err := a.bind("width", "first", "blank")
	if err != nil {
		return nil, err
	}
	indent := "    "
	switch width := b[0].(type) {
	case string:
		indent = width
	case int64:
		if width < 0 || width > 1000 {
			return nil, fmt.Errorf("a width of %d", width)
		}
		indent = strings.Repeat(" ", int(width))
	}
	text := toString(v)
	if len(text)+(strings.Count(text, "\n")+1)*len(indent) > maxText {
		return nil, errTooLong
	}
	lines := strings.Split(text, "\n")
	for i := range lines {
		first := i == 0 && (b[1] == missing || !truth(b[1]))
		blank := lines[i] == "" && i > 0 && (b[2] == missing || !truth(b[2]))
		if !first && !blank {
			lines[i] = indent + lines[i]
		}
	}
	return strings.Join(lines, "\n"), nil
}

// mapFilter applies a filter to each item, or takes an attribute of it.
func mapFilter(v any, a args) (any, error) {
	items, err := iterate(v)
	if err != nil {
		return nil, err
	}
	apply := func(e any) (any, error) {
		e, err := path(e, a.named["attribute"])
		if _, ok := e.(undefined); ok && err == nil {
			if d, ok := a.named["default"]; ok {
				return d, nil
			}
		}
		return e, err
	}
	if _, ok := a.named["attribute"]; !ok {
		if len(a.list) == 0 {
			return nil, errors.New("an attribute or a filter is needed")
		}
		filter, ok := filters[toString(a.list[0])]
		if !ok {
			return nil, fmt.Errorf("the filter %s is not supported", repr(a.list[0]))
		}
		apply = func(e any) (any, error) { return filter(e, args{a.list[1:], a.named}) }
	}
	result, total := make([]any, len(items)), 0
	for i, e := range items {
		if result[i], err = apply(e); err != nil {
			return nil, err
		}
		size, err := measure(result[i])
		if total += size; err != nil || total > maxValue {
			return nil, errTooLarge
		}
	}
	return result, nil
}

// selectFilter keeps the items for which a test, or else their truth, is want.
func selectFilter(want bool) func(any, args) (any, error) {
	return func(v any, a args) (any, error) {
		return choose(v, a.list, want, func(e any) (any, error) { return e, nil })
	}
}

// selectAttrFilter does the same with an attribute of the items.
func selectAttrFilter(want bool) func(any, args) (any, error) {
	return func(v any, a args) (any, error) {
		if len(a.list) == 0 {
			return nil, errors.New("an attribute is needed")
		}
		return choose(v, a.list[1:], want, func(e any) (any, error) { return path(e, a.list[0]) })
	}
}

func choose(v any, test []any, want bool, value func(any) (any, error)) (any, error) {
	items, err := iterate(v)
	if err != nil {
		return nil, err
	}
	holds := func(v any, _ args) (bool, error) { return truth(v), nil }
	var rest []any
	if len(test) > 0 {
		name, err := testName(toString(test[0]))
		if err != nil {
			return nil, err
		}
		holds, rest = tests[name], test[1:]
	}
	result := []any{}
	for _, e := range items {
		tested, err := value(e)
		if err != nil {
			return nil, err
		}
		ok, err := holds(tested, args{list: rest})
		if err != nil {
			return nil, err
		}
		if ok == want {
			result = append(result, e)
		}
	}
	return result, nil
}

// title is Python's: a letter behind another is small, any other large.
func title(s string) string {
	inside := false
	return strings.Map(func(r rune) rune {
		letter := unicode.IsLetter(r)
		defer func() { inside = letter }()
		if inside {
			return unicode.ToLower(r)
		}
		return unicode.ToTitle(r)
	}, s)
}

func capitalize(s string) string {
	for i, r := range s {
		return string(unicode.ToTitle(r)) + strings.ToLower(s[i+len(string(r)):])
	}
	return s
}
