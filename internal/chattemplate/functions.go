package chattemplate

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// functions are what transformers and Jinja define for every chat template.
var functions = map[string]function{
	"raise_exception": func(_ *state, a args) (any, error) {
		b, err := a.bind("message")
		if err != nil {
			return nil, err
		}
		return nil, errors.New(toString(b[0]))
	},
	"strftime_now": func(s *state, a args) (any, error) {
		b, err := a.bind("format")
		if err != nil {
			return nil, err
		}
		format, ok := b[0].(string)
		if !ok {
			return nil, errors.New("strftime_now needs a format")
		}
		return strftime(s.now(), format)
	},
	"namespace": func(_ *state, a args) (any, error) {
		d, err := makeDict(a)
		if err != nil {
			return nil, err
		}
		return &namespace{d.values}, nil
	},
	"dict":  func(_ *state, a args) (any, error) { return makeDict(a) },
	"range": rangeFunction,
}

// makeDict makes a dict of another one and of named values.
func makeDict(a args) (*dict, error) {
	d := newDict()
	for _, v := range a.list {
		from, ok := v.(*dict)
		if !ok || len(a.list) > 1 {
			return nil, errors.New("one dict and named values are expected")
		}
		for _, k := range from.keys {
			d.set(k, from.values[k])
		}
	}
	for k, v := range a.named {
		d.set(k, v)
	}
	return d, nil
}

func rangeFunction(_ *state, a args) (any, error) {
	var n [3]int64
	for i, v := range a.list {
		var ok bool
		if i > 2 {
			return nil, errors.New("range takes at most three numbers")
		}
		if n[i], ok = integer(v); !ok {
			return nil, fmt.Errorf("%s is no integer", typeName(v))
		}
	}
	from, to, step := n[0], n[1], int64(1)
	switch len(a.list) {
	case 0:
		return nil, errors.New("range needs a number")
	case 1:
		from, to = 0, n[0]
	case 3:
		step = n[2]
	}
	if step == 0 {
		return nil, errors.New("range with a step of zero")
	}
	list := []any{}
	for i := from; step > 0 && i < to || step < 0 && i > to; i += step {
		if len(list) == maxRange {
			return nil, fmt.Errorf("a range of more than %d", maxRange)
		}
		list = append(list, i)
	}
	return list, nil
}

// layouts are the directives of Python's strftime in Go's layout.
var layouts = map[string]string{
	"Y": "2006", "y": "06", "m": "01", "-m": "1", "B": "January", "b": "Jan", "h": "Jan", "d": "02", "-d": "2", "e": "_2",
	"A": "Monday", "a": "Mon", "H": "15", "I": "03", "-I": "3", "M": "04", "-M": "4", "S": "05", "-S": "5", "p": "PM", "j": "002",
	"F": "2006-01-02", "T": "15:04:05", "D": "01/02/06", "R": "15:04",
}

func strftime(t time.Time, format string) (any, error) {
	var b strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' {
			b.WriteByte(format[i])
			continue
		}
		directive := format[i+1 : min(i+2, len(format))]
		if directive == "-" {
			directive = format[i+1 : min(i+3, len(format))]
		}
		i += len(directive)
		layout, ok := layouts[directive]
		switch {
		case directive == "%":
			b.WriteByte('%')
		case ok:
			b.WriteString(t.Format(layout))
		default:
			return nil, fmt.Errorf("strftime_now: %%%s is not supported", directive)
		}
	}
	return b.String(), nil
}
