package chattemplate

import (
	"slices"
	"strconv"
	"strings"
)

// binary are the operators, lowest precedence first.
var binary = [][]string{{"==", "!=", "<", "<=", ">", ">=", "in", "not"}, {"+", "-"}, {"~"}, {"*", "/", "//", "%", "**"}}

// lazy are the operations that return a Python iterator, which can be read once. consumers are the filters that read
// it.
var (
	lazy = []string{
		"map", "select", "reject", "selectattr", "rejectattr", "reverse", "items", "keys", "values", "range",
	}
	consumers = []string{"list", "join", "first", "map", "selectattr", "rejectattr"}
)

func (c *compiler) expression() string {
	if !c.enter() {
		return ""
	}
	code := c.or()
	for c.accept("if") {
		condition, other := c.or(), "undefined"
		if c.accept("else") {
			other = c.expression()
		}
		code = "(" + code + " if " + condition + " else " + other + ")"
	}
	c.nest--
	return code
}

func (c *compiler) or() string {
	code := c.and()
	for c.accept("or") {
		code = "(" + code + " or " + c.and() + ")"
	}
	return code
}

func (c *compiler) and() string {
	code := c.not()
	for c.accept("and") {
		code = "(" + code + " and " + c.not() + ")"
	}
	return code
}

func (c *compiler) not() string {
	if !c.is("not") || !c.enter() {
		return c.binary(0)
	}
	c.next()
	code := "(not " + c.not() + ")"
	c.nest--
	return code
}

func (c *compiler) binary(level int) string {
	if level == len(binary) {
		return c.unary(true)
	}
	code := c.binary(level + 1)
	for n := 0; c.is(binary[level]...); n++ {
		op := c.next().text
		if op == "not" {
			c.expect("in")
			op = "not in"
		}
		code = c.call(op, code, c.binary(level+1))
		if level == 0 && n > 0 {
			code = c.refuse("a chain of comparisons")
		}
	}
	return code
}

// unary gives a sign a higher precedence than a filter, as Jinja does.
func (c *compiler) unary(filters bool) string {
	if !c.enter() {
		return ""
	}
	var code string
	switch {
	case c.accept("-"):
		code = c.call("neg", c.unary(false))
	case c.accept("+"):
		code = c.call("pos", c.unary(false))
	default:
		code = c.primary()
	}
	c.nest--
	return c.postfix(code, filters)
}

func (c *compiler) primary() string {
	t := c.next()
	switch {
	case t.kind == 's':
		for c.peek().kind == 's' {
			t.text += c.next().text
		}
		return quote(t.text)
	case t.kind == 'i':
		if len(t.text) > 18 || len(t.text) > 1 && t.text[0] == '0' || c.is(".") {
			c.fail("the number %s is not supported", t.text)
		}
		return t.text
	case t.kind == 'n':
		return c.variable(t.text)
	case t.text == "(":
		return c.parenthesis()
	case t.text == "[":
		return c.call("list", c.list("]")...)
	case t.text == "{":
		return c.dict()
	}
	c.fail("unexpected %q", t.text)
	return ""
}

func (c *compiler) variable(name string) string {
	switch name {
	case "true", "false", "none", "True", "False", "None":
		return strings.ToLower(name)
	case "and", "or", "not", "in", "is", "if", "else":
		c.fail("unexpected %q", name)
	case "loop":
		if c.loops > 0 && c.accept(".") {
			return c.loopMember(c.name())
		}
		return c.refuse("the variable loop other than as loop.index and so on")
	}
	params, macro := c.macros[name]
	switch {
	case macro && c.accept("("):
		return c.macroCall(name, params)
	case c.is("("):
		return c.function(name)
	case macro || slices.Contains(globals[callables:], name):
		return c.refuse("the name %s here", name)
	}
	return "v_" + name
}

func (c *compiler) loopMember(name string) string {
	switch name {
	case "index", "index0", "revindex", "revindex0", "first", "last", "length", "previtem", "nextitem":
		return "loop." + name
	}
	return c.refuse("loop.%s", name)
}

// parenthesis reads a group or a tuple after "(". Python prints a tuple and a list differently, so that a tuple is
// supported for "in" alone.
func (c *compiler) parenthesis() string {
	if c.accept(")") {
		return c.refuse("an empty tuple")
	}
	items := []string{c.expression()}
	for c.accept(",") {
		if !c.is(")") {
			items = append(items, c.expression())
		}
		if c.is(")") {
			c.next()
			return c.call("tuple", items...)
		}
	}
	c.expect(")")
	return "(" + items[0] + ")"
}

// list reads expressions up to the token end.
func (c *compiler) list(end string) []string {
	var items []string
	for c.err == nil && !c.accept(end) {
		items = append(items, c.expression())
		if !c.is(end) {
			c.expect(",")
		}
	}
	return items
}

func (c *compiler) dict() string {
	var items []string
	for c.err == nil && !c.accept("}") {
		items = append(items, c.expression())
		c.expect(":")
		items = append(items, c.expression())
		if !c.is("}") {
			c.expect(",")
		}
	}
	return c.call("dict", items...)
}

// arguments reads the arguments after "(". named alternates names and values.
func (c *compiler) arguments() (args, named []string) {
	for c.err == nil && !c.accept(")") {
		if c.is("*", "**") {
			c.fail("arguments with * are not supported")
		}
		if len(c.tokens) > 1 && c.tokens[0].kind == 'n' && c.tokens[1] == (token{'o', "="}) {
			named = append(named, c.name())
			c.next()
			named = append(named, c.expression())
		} else {
			args = append(args, c.expression())
			if named != nil {
				c.fail("an argument without a name after one with a name")
			}
		}
		if !c.is(")") {
			c.expect(",")
		}
	}
	return args, named
}

// macroCall passes every parameter, so that the library need not bind them.
func (c *compiler) macroCall(name string, params []param) string {
	args, named := c.arguments()
	if len(args) > len(params) {
		return c.refuse("the macro %s with %d arguments", name, len(args))
	}
	for _, p := range params[len(args):] {
		value := p.value
		if value == "" {
			value = "undefined"
		}
		if i := slices.Index(named, p.name); i >= 0 && i%2 == 0 {
			value = named[i+1]
			named = slices.Delete(named, i, i+2)
		}
		args = append(args, value)
	}
	if len(named) > 0 {
		return c.refuse("the macro %s with the argument %s", name, named[0])
	}
	return "m_" + name + "(" + strings.Join(args, ", ") + ")"
}

func (c *compiler) function(name string) string {
	c.next()
	args, named := c.arguments()
	switch {
	case (name == "namespace" || name == "dict") && len(args) == 0:
		for i := 0; i < len(named); i += 2 {
			named[i] = quote(named[i])
		}
		return c.call(name, named...)
	case name == "range" && named == nil && len(args) > 0 && len(args) <= 3:
		return c.once(name, c.call(name+"/"+strconv.Itoa(len(args)), args...))
	case (name == "raise_exception" || name == "strftime_now") && named == nil && len(args) == 1:
		return c.call(name, args...)
	}
	return c.refuse("the function %s with these arguments", name)
}

// postfix reads members and items, and then filters and tests.
func (c *compiler) postfix(code string, filters bool) string {
	for {
		switch {
		case c.accept("."):
			code = c.member(code)
			continue
		case c.accept("["):
			code = c.item(code)
			continue
		case c.is("("):
			code = c.callee()
			continue
		}
		break
	}
	for filters && c.is("|", "is", "(") {
		switch {
		case c.accept("|"):
			code = c.filter(code)
		case c.accept("is"):
			code = c.test(code)
		default:
			code = c.callee()
		}
	}
	return code
}

// callee refuses a call of any other expression than a macro, function, method, filter or test.
func (c *compiler) callee() string {
	c.expect("(")
	c.arguments()
	return c.refuse("a call of a value other than a function")
}

func (c *compiler) member(code string) string {
	if t := c.peek(); t.kind == 'i' && len(t.text) < 9 {
		return c.call("item", code, c.next().text)
	}
	name := c.name()
	if !c.accept("(") {
		return c.call("member", code, quote(name))
	}
	args, named := c.arguments()
	return c.operation("."+name, append([]string{code}, args...), named)
}

func (c *compiler) filter(code string) string {
	name := c.name()
	var args, named []string
	if c.accept("(") {
		args, named = c.arguments()
	}
	return c.operation("|"+name, append([]string{code}, args...), named)
}

// operation compiles a filter, method or test, and refuses it if the table lacks it. Named arguments are a part of the
// name.
func (c *compiler) operation(name string, args, named []string) string {
	op := name
	for i := 0; i < len(named); i += 2 {
		op += " " + named[i] + "="
		args = append(args, named[i+1])
	}
	op += "/" + strconv.Itoa(len(args))
	if _, ok := ops[op]; ok {
		return c.once(name[1:], c.call(op, args...))
	}
	if _, ok := tests[name[1:]]; ok && name[0] == '?' && len(args) == 1 {
		return c.call("is", quote(name[1:]), args[0])
	}
	return c.refuse("the %s %q with %d arguments",
		map[byte]string{'|': "filter", '.': "method", '?': "test"}[name[0]], name[1:], len(args)-1)
}

// once refuses to store an iterator, which can be read only once.
func (c *compiler) once(name, code string) string {
	consumed := len(c.tokens) > 1 && c.tokens[0].text == "|" && slices.Contains(consumers, c.tokens[1].text)
	looped := c.iterable && (len(c.tokens) == 0 || c.is("if"))
	if !slices.Contains(lazy, name) || consumed || looped {
		return code
	}
	return c.refuse("%s other than in a loop or before the filter list", name)
}

func (c *compiler) item(code string) string {
	if c.accept(":") {
		return c.slice(code, "undefined")
	}
	from := c.expression()
	if c.accept(":") {
		return c.slice(code, from)
	}
	c.expect("]")
	return c.call("item", code, from)
}

// slice reads the rest of a slice after the first colon.
func (c *compiler) slice(code, from string) string {
	op, args := "[:]", []string{code}
	if from != "undefined" {
		op, args = "[b:]", append(args, from)
	}
	if !c.is("]", ":") {
		op, args = strings.Replace(op, "]", "c]", 1), append(args, c.expression())
	}
	if c.accept(":") && !c.is("]") {
		if op != "[:]" || len(c.tokens) < 3 ||
			c.tokens[0].text != "-" || c.tokens[1] != (token{'i', "1"}) || c.tokens[2].text != "]" {
			c.fail("a slice with a step other than [::-1] is not supported")
			return ""
		}
		op, c.tokens = "[::-1]", c.tokens[2:]
	}
	c.expect("]")
	return c.call(op, args...)
}

// test reads the name and the arguments of a test; one argument needs no parentheses.
func (c *compiler) test(code string) string {
	not := c.accept("not")
	name, args := c.name(), []string{code}
	if c.accept("(") {
		more, named := c.arguments()
		if named != nil {
			c.fail("a test with a named argument is not supported")
		}
		args = append(args, more...)
	} else if t := c.peek(); (strings.IndexByte("sin", t.kind) >= 0 || c.is("[", "{")) && !c.is("and", "or", "else") {
		args = append(args, c.postfix(c.primary(), false))
	}
	code = c.operation("?"+name, args, nil)
	if not {
		return "(not " + code + ")"
	}
	return code
}
