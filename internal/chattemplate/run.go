package chattemplate

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/ardanlabs/jinja"
)

// run is one rendering. A template calls run.call for everything except branches and loops.
type run struct {
	now             func() time.Time
	steps, maxSteps int
	printed, macros int
	tuples          map[*jinja.List]bool
	namespaces      map[*jinja.Dict]bool
}

var (
	decimal    = regexp.MustCompile(`^-?[0-9]{1,9}$`)
	errTooLong = fmt.Errorf("the text is longer than %d bytes", maxText)
	errTooMany = fmt.Errorf("a list of more than %d items", maxItems)
)

// call checks and computes an operation: its line, its name and its operands.
func (r *run) call(args []jinja.Value, _ map[string]jinja.Value) (jinja.Value, error) {
	op := args[1].AsString()
	v, err := r.compute(op, args[2:])
	if err == nil {
		err = r.charge(append([]jinja.Value{v}, args[2:]...))
	}
	if err != nil {
		return v, fmt.Errorf("line %d: %w", args[0].AsInt(), err)
	}
	return v, nil
}

// charge counts steps, which bounds time and memory.
func (r *run) charge(values []jinja.Value) error {
	r.steps++
	for _, v := range values {
		switch {
		case v.IsString() && len(v.AsString()) > maxText:
			return errTooLong
		case v.IsString():
			r.steps += len(v.AsString()) / stepBytes
		case v.IsList() && v.AsList().Len() > maxItems:
			return errTooMany
		case v.IsList():
			r.steps += v.AsList().Len() / stepItems
		}
	}
	if r.steps > r.maxSteps {
		return fmt.Errorf("the template takes more than %d steps", r.maxSteps)
	}
	return nil
}

func (r *run) compute(op string, args []jinja.Value) (jinja.Value, error) {
	switch op {
	case "refuse":
		return jinja.Undefined(), fmt.Errorf("%s is not supported", args[0].AsString())
	case "raise_exception":
		text, err := text(args[0])
		return jinja.Undefined(), cmp.Or(err, errors.New(text))
	case "strftime_now":
		if !args[0].IsString() {
			return jinja.Undefined(), errors.New("strftime_now without a format")
		}
		text, err := strftime(r.now(), args[0].AsString())
		return jinja.NewString(text), err
	case "print":
		text, err := text(args[0])
		if r.printed += len(text); r.printed > maxPrinted {
			err = errTooLong
		}
		return jinja.NewString(text), err
	case "step", "enter", "leave":
		r.macros += map[string]int{"enter": 1, "leave": -1}[op]
		if r.macros > maxMacros {
			return jinja.Undefined(), fmt.Errorf("macros are nested more than %d deep", maxMacros)
		}
		return jinja.Undefined(), nil
	case "list", "tuple":
		v := jinja.NewList(slices.Clone(args))
		r.tuples[v.AsList()] = op == "tuple"
		return v, nil
	case "dict", "namespace":
		return r.dict(args, op == "namespace")
	case "is":
		return jinja.NewBool(tests[args[0].AsString()].MatchString(r.kinds(args[1:]...))), nil
	case "iterate":
		return args[1], r.iterable(args[0].AsInt(), args[1])
	case "member":
		return r.member(args[0], args[1].AsString())
	case "set":
		if r.kinds(args[0]) != "N" {
			return jinja.Undefined(), errors.New("setting a member of a value other than a namespace is not supported")
		}
		return args[1], nil
	}
	return r.library(op, args)
}

// library computes a row of the table.
func (r *run) library(name string, args []jinja.Value) (out jinja.Value, err error) {
	op := ops[name]
	title, _, _ := strings.Cut(strings.TrimLeft(name, "|.?"), "/")
	if kinds := r.kinds(args...); !op.allowed.MatchString(kinds) {
		return out, fmt.Errorf("%s of %s is not supported", cmp.Or(title, name), describe(kinds))
	}
	if err := check(title, args); err != nil {
		return out, fmt.Errorf("%s of %w", title, err)
	}
	values := map[string]jinja.Value{"w": jinja.NewString(space)}
	values["out"] = jinja.NewCallable("out", func(a []jinja.Value, _ map[string]jinja.Value) (jinja.Value, error) {
		out = a[0]
		return jinja.Undefined(), nil
	})
	for i, v := range args {
		values[string(rune('a'+i))] = v
	}
	_, err = op.template.RenderValues(values)
	return out, err
}

// check refuses operands whose kinds are allowed, but whose values make the library differ from Jinja or make the
// result too large.
func check(op string, args []jinja.Value) error {
	switch op {
	case "upper", "lower", "capitalize":
		if strings.ContainsFunc(args[0].AsString(), func(c rune) bool { return c > unicode.MaxASCII }) {
			return errors.New("letters beyond ASCII is not supported")
		}
	case "replace":
		s, old, by := args[0].AsString(), args[1].AsString(), args[2].AsString()
		if len(s)+strings.Count(s, old)*len(by) > maxText {
			return errTooLong
		}
	case "*":
		if args[0].IsString() && len(args[0].AsString())*int(args[1].AsInt()) > maxText {
			return errTooLong
		}
	case "split":
		if strings.Count(args[0].AsString(), args[1].AsString()) >= maxItems {
			return errTooMany
		}
	case "list":
		if args[0].IsString() && len(args[0].AsString()) > maxItems {
			return errTooMany
		}
	case "range":
		return checkRange(args)
	case "int":
		if args[0].IsString() && !decimal.MatchString(args[0].AsString()) {
			return fmt.Errorf("%.20q is not supported", args[0].AsString())
		}
	case "join":
		size := 0
		for _, v := range args[0].AsList().Items {
			text, err := text(v)
			if err != nil || v.IsNone() {
				return errors.New("a list with other than strings and numbers is not supported")
			}
			if size += len(text); len(args) > 1 {
				size += len(args[1].AsString())
			}
			if size > maxText {
				return errTooLong
			}
		}
	case "tojson":
		size := 0
		return checkJSON(args[0], 0, &size)
	case "item":
		if args[0].IsDict() && strings.Contains(members, " "+args[1].AsString()+" ") {
			return fmt.Errorf("a dict and %q is not supported", args[1].AsString())
		}
	case "map attribute=", "selectattr", "rejectattr":
		return checkAttribute(args)
	}
	if strings.HasPrefix(op, "[") { // the library counts from one bound to the other
		end := int64(maxItems)
		if args[0].IsString() {
			end = int64(len(args[0].AsString()))
		}
		for i, v := range args[1:] {
			args[i+1] = jinja.NewInt(min(max(v.AsInt(), -end), end))
		}
	}
	return nil
}

func checkRange(args []jinja.Value) error {
	n := []int64{0, 0, 1}
	for i, v := range args {
		n[i] = v.AsInt()
	}
	if len(args) == 1 {
		n[0], n[1] = 0, n[0]
	}
	if (n[1]-n[0])/n[2] >= maxItems {
		return errTooMany
	}
	return nil
}

// checkJSON refuses values that Python writes differently.
func checkJSON(v jinja.Value, depth int, size *int) error {
	*size += 8
	switch {
	case v.IsString():
		*size += len(v.AsString())
		if strings.ContainsAny(v.AsString(), "\u2028\u2029\x7f") {
			return errors.New("U+2028, U+2029 or U+007F is not supported")
		}
	case v.IsUndefined() || v.IsFloat() || v.IsCallable():
		return errors.New("an undefined value, a float or a function is not supported")
	case v.IsList():
		for _, item := range v.AsList().Items {
			if err := checkJSON(item, depth+1, size); err != nil {
				return err
			}
		}
	case v.IsDict():
		for _, key := range v.AsDict().Keys {
			err := errors.Join(checkJSON(jinja.NewString(key), depth, size), checkJSON(v.AsDict().Data[key], depth+1, size))
			if err != nil {
				return err
			}
		}
	}
	if depth > maxMacros || *size > maxText {
		return errors.New("a value that is too large or nested too deep is not supported")
	}
	return nil
}

// checkAttribute reads the arguments of map, selectattr and rejectattr: a list of dicts, the name of a key, and perhaps
// a test.
func checkAttribute(args []jinja.Value) error {
	for _, v := range args[0].AsList().Items {
		if !v.IsDict() {
			return errors.New("a list of other than dicts is not supported")
		}
	}
	name, test := args[1].AsString(), ""
	if len(args) > 2 {
		test = args[2].AsString()
	}
	want := " truthy defined undefined none string boolean true false "
	if len(args) > 3 {
		want = " equalto eq == ne != "
	}
	if strings.Contains(name, ".") || name[0] <= '9' || strings.Contains(members, " "+name+" ") {
		return fmt.Errorf("the key %q is not supported", name)
	}
	if test != "" && !strings.Contains(want, " "+test+" ") {
		return fmt.Errorf("the test %q is not supported", test)
	}
	return nil
}

func (r *run) dict(args []jinja.Value, namespace bool) (jinja.Value, error) {
	d := jinja.NewDict()
	for i := 0; i < len(args); i += 2 {
		if !args[i].IsString() {
			return d, errors.New("a key that is not a string is not supported")
		}
		d.AsDict().Set(args[i].AsString(), args[i+1])
	}
	if namespace {
		d.AsDict().Set("", jinja.None()) // an empty dict is false, a namespace is not
		r.namespaces[d.AsDict()] = true
	}
	return d, nil
}

// iterable returns an error if a loop with that many names iterates over a value in another way than Jinja.
func (r *run) iterable(names int64, v jinja.Value) error {
	kind := r.kinds(v)
	if !strings.Contains("lpdesu", kind) || names == 2 && !strings.Contains("lpu", kind) {
		return fmt.Errorf("a loop through %s is not supported", describe(kind))
	}
	if v.IsString() && len(v.AsString()) > maxItems {
		return errTooMany
	}
	if names == 2 && v.IsList() {
		for _, item := range v.AsList().Items {
			if !item.IsList() || item.AsList().Len() != 2 {
				return errors.New("a loop with two names through other than pairs is not supported")
			}
		}
	}
	return nil
}

func (r *run) member(v jinja.Value, name string) (jinja.Value, error) {
	kind := r.kinds(v)
	if !strings.Contains("ndN", kind) || name[0] == '_' || kind == "d" && strings.Contains(members, " "+name+" ") {
		return v, fmt.Errorf("the member %s of %s is not supported", name, describe(kind))
	}
	if kind == "n" {
		return jinja.Undefined(), nil
	}
	member, _ := v.AsDict().Get(name)
	return member, nil
}

// kinds returns one letter per value, as in the table.
func (r *run) kinds(values ...jinja.Value) string {
	var b strings.Builder
	for _, v := range values {
		switch {
		case v.IsUndefined():
			b.WriteByte('u')
		case v.IsNone():
			b.WriteByte('n')
		case v.IsBool():
			b.WriteString(v.String()[:1])
		case v.IsInt() && v.AsInt() != int64(int32(v.AsInt())):
			b.WriteByte('h')
		case v.IsInt():
			b.WriteByte("j0i"[1+cmp.Compare(v.AsInt(), 0)])
		case v.IsFloat():
			b.WriteByte('x')
		case v.IsString() && v.AsString() == "":
			b.WriteByte('e')
		case v.IsString():
			b.WriteByte('s')
		case v.IsList() && r.tuples[v.AsList()]:
			b.WriteByte('p')
		case v.IsList():
			b.WriteByte('l')
		case v.IsDict() && r.namespaces[v.AsDict()]:
			b.WriteByte('N')
		case v.IsDict():
			b.WriteByte('d')
		default:
			b.WriteByte('c')
		}
	}
	return b.String()
}

// describe names kinds in words.
func describe(kinds string) string {
	words := map[rune]string{
		'u': "an undefined value", 'n': "none", 'T': "a boolean", 'F': "a boolean", 'j': "an integer below 0",
		'0': "zero", 'i': "an integer", 'h': "a large integer", 'x': "a float", 's': "a string", 'e': "an empty string",
		'l': "a list", 'p': "a tuple", 'd': "a dict", 'N': "a namespace", 'c': "a function",
	}
	var all []string
	for _, k := range kinds {
		all = append(all, words[k])
	}
	return strings.Join(all, " and ")
}

// text returns the text that Jinja prints for a value.
func text(v jinja.Value) (string, error) {
	switch {
	case v.IsUndefined():
		return "", nil
	case v.IsNone() || v.IsBool() || v.IsInt():
		return v.String(), nil
	case v.IsString():
		return v.AsString(), nil
	}
	return "", errors.New("printing a list, a dict, a float or a function is not supported")
}

// layouts are the directives of Python's strftime in Go's layout.
var layouts = map[string]string{
	"Y": "2006", "y": "06", "m": "01", "-m": "1", "B": "January", "b": "Jan",
	"d": "02", "-d": "2", "A": "Monday", "a": "Mon",
	"H": "15", "I": "03", "-I": "3", "M": "04", "S": "05", "p": "PM", "F": "2006-01-02", "T": "15:04:05",
}

// strftime replaces the library's function, which reads digits of the format as a layout and prints unknown directives.
func strftime(t time.Time, format string) (string, error) {
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
			return "", fmt.Errorf("strftime_now with %%%s is not supported", directive)
		}
	}
	return b.String(), nil
}
