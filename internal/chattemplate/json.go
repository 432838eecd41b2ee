package chattemplate

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
)

// jsonWriter is Python's json.dumps with its options.
type jsonWriter struct {
	b                    strings.Builder
	indent               string
	pretty, ascii        bool
	sorted               bool
	separator, keyEnding string
}

// tojson is the filter as transformers defines it: nothing is escaped for HTML, and letters stay as they are.
func tojson(v any, a args) (any, error) {
	b, err := a.bind("ensure_ascii", "indent", "separators", "sort_keys")
	if err != nil {
		return nil, err
	}
	w := jsonWriter{separator: ", ", keyEnding: ": "}
	w.ascii = b[0] != missing && truth(b[0])
	w.sorted = b[3] != missing && truth(b[3])
	switch indent := b[1].(type) {
	case int64:
		if indent > 100 {
			return nil, fmt.Errorf("an indent of %d", indent)
		}
		w.indent, w.pretty = strings.Repeat(" ", int(max(indent, 0))), true
	case string:
		if len(indent) > 100 {
			return nil, fmt.Errorf("an indent of %d bytes", len(indent))
		}
		w.indent, w.pretty = indent, true
	}
	if w.pretty {
		w.separator = ","
	}
	if pair, ok := b[2].([]any); ok && len(pair) == 2 {
		w.separator, w.keyEnding = toString(pair[0]), toString(pair[1])
	}
	if err := w.write(v, 1); err != nil {
		return nil, err
	}
	return w.b.String(), nil
}

func (w *jsonWriter) write(v any, depth int) error {
	if depth > maxNesting {
		return errors.New("nested too deep")
	}
	if w.b.Len() > maxText {
		return errTooLong
	}
	switch v := v.(type) {
	case nil:
		w.b.WriteString("null")
	case bool:
		w.b.WriteString(strconv.FormatBool(v))
	case int64, float64:
		w.b.WriteString(repr(v))
	case string:
		w.string(v)
	case []any:
		return w.group('[', ']', len(v), depth, func(i int) error { return w.write(v[i], depth+1) })
	case *dict:
		keys := slices.Clone(v.keys)
		if w.sorted {
			slices.Sort(keys)
		}
		return w.group('{', '}', len(keys), depth, func(i int) error {
			w.string(keys[i])
			w.b.WriteString(w.keyEnding)
			return w.write(v.values[keys[i]], depth+1)
		})
	default:
		return fmt.Errorf("%s cannot be written as JSON", typeName(v))
	}
	return nil
}

func (w *jsonWriter) group(open, end byte, n, depth int, element func(int) error) error {
	w.b.WriteByte(open)
	for i := range n {
		if i > 0 {
			w.b.WriteString(w.separator)
		}
		w.newLine(depth)
		if err := element(i); err != nil {
			return err
		}
	}
	if n > 0 {
		w.newLine(depth - 1)
	}
	w.b.WriteByte(end)
	return nil
}

func (w *jsonWriter) newLine(depth int) {
	if w.pretty {
		w.b.WriteByte('\n')
		w.b.WriteString(strings.Repeat(w.indent, depth))
	}
}

func (w *jsonWriter) string(s string) {
	w.b.WriteByte('"')
	for _, r := range s {
		if i := strings.IndexRune("\"\\\n\r\t\b\f", r); i >= 0 {
			w.b.WriteByte('\\')
			w.b.WriteByte("\"\\nrtbf"[i])
		} else if r < 0x20 || w.ascii && r > 0x7e && r <= 0xffff {
			fmt.Fprintf(&w.b, `\u%04x`, r)
		} else if w.ascii && r > 0xffff {
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&w.b, `\u%04x\u%04x`, high, low)
		} else {
			w.b.WriteRune(r)
		}
	}
	w.b.WriteByte('"')
}
