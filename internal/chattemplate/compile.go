package chattemplate

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const maxNest = 200 // blocks within blocks, and expressions within expressions

// compiler rewrites a template for the library. The first error discards all remaining tokens, which ends the compiler.
type compiler struct {
	tags     []tag
	tokens   []token // of the current tag
	line     int
	err      error
	nest     int
	loops    int               // enclosing loops, within a macro
	inner    bool              // within a block with its own names
	iterable bool              // within the iterable of a loop
	ids      int               // number of blocks with their own names
	set      []map[string]bool // names that each such block sets
	macros   map[string][]param
}

type param struct{ name, value string } // the code of its default, or ""

// globals are the names that Jinja and transformers define, the callables first.
var globals = []string{
	"range", "dict", "lipsum", "cycler", "joiner", "namespace", "raise_exception", "strftime_now", // callables
	"loop", "self", "super", "varargs", "kwargs", "caller",
}

const callables = 8

var blockEnd = regexp.MustCompile("^(?:end.*|else|elif)$")

func compile(tags []tag) (string, error) {
	c := &compiler{tags: tags, macros: map[string][]param{}, set: []map[string]bool{{}}}
	for _, t := range tags {
		if c.tokens, c.line = t.tokens, t.line; len(t.tokens) > 1 && t.open == "{%" && t.tokens[0].text == "macro" {
			c.signature()
		}
	}
	for name, params := range c.macros {
		for _, p := range params {
			if _, macro := c.macros[p.name]; macro {
				c.fail("the parameter %s of the macro %s, which is also the name of a macro, is not supported", p.name, name)
			}
		}
	}
	code := c.body()
	if c.err == nil && len(c.tags) > 0 {
		c.fail("unexpected %q", c.tags[0].tokens[0].text)
	}
	return code, c.err
}

func (c *compiler) fail(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf("line %d: "+format, append([]any{max(1, c.line)}, args...)...)
	}
	c.tags, c.tokens = nil, nil
}

func (c *compiler) enter() bool {
	if c.nest++; c.nest > maxNest {
		c.fail("nested more than %d deep", maxNest)
	}
	return c.err == nil
}

func (c *compiler) peek() token {
	if len(c.tokens) == 0 {
		return token{}
	}
	return c.tokens[0]
}

func (c *compiler) next() token {
	t := c.peek()
	if t.kind == 0 {
		c.fail("the tag ends too early")
		return t
	}
	c.tokens = c.tokens[1:]
	return t
}

func (c *compiler) is(words ...string) bool {
	t := c.peek()
	return (t.kind == 'n' || t.kind == 'o') && slices.Contains(words, t.text)
}

func (c *compiler) accept(word string) bool {
	ok := c.is(word)
	if ok {
		c.next()
	}
	return ok
}

func (c *compiler) expect(word string) {
	if c.err == nil && !c.accept(word) {
		c.fail("unexpected %q, want %s", c.peek().text, word)
	}
}

func (c *compiler) name() string {
	t := c.next()
	if c.err == nil && t.kind != 'n' {
		c.fail("unexpected %q, want a name", t.text)
	}
	return t.text
}

// target is a name that the template may set.
func (c *compiler) target() string {
	name := c.name()
	if _, macro := c.macros[name]; macro || slices.Contains(globals, name) {
		c.fail("setting %s is not supported", name)
	}
	return name
}

// call returns the code of a checked operation.
func (c *compiler) call(op string, args ...string) string {
	return fmt.Sprintf("rt(%s)", strings.Join(append([]string{strconv.Itoa(c.line), quote(op)}, args...), ", "))
}

// refuse returns code that fails when a conversation reaches it.
func (c *compiler) refuse(format string, args ...any) string {
	return c.call("refuse", quote(fmt.Sprintf(format, args...)))
}

func quote(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}

// body compiles everything up to a tag that ends or continues a block.
func (c *compiler) body() string {
	var code strings.Builder
	if !c.enter() {
		return ""
	}
	for len(c.tags) > 0 {
		t := c.tags[0]
		if t.open == "{%" && blockEnd.MatchString(t.tokens[0].text) {
			break
		}
		c.tags, c.tokens, c.line = c.tags[1:], t.tokens, max(c.line, t.line)
		switch t.open {
		case "":
			code.WriteString("{{ " + c.call("print", quote(t.text)) + " }}")
		case "{{":
			code.WriteString("{{ " + c.call("print", c.expression()) + " }}")
			c.end()
		default:
			code.WriteString(c.statement())
		}
	}
	c.nest--
	return code.String()
}

func (c *compiler) end() {
	if t := c.peek(); c.err == nil && t.kind != 0 {
		c.fail("unexpected %q, the tag should end here", t.text)
	}
}

// tagNamed reads the name of the next tag, which must be one of words.
func (c *compiler) tagNamed(words ...string) string {
	if c.err != nil {
		return ""
	}
	if len(c.tags) == 0 || len(c.tags[0].tokens) == 0 || !slices.Contains(words, c.tags[0].tokens[0].text) {
		c.fail("%s is missing", words[len(words)-1])
		return ""
	}
	c.tokens, c.line = c.tags[0].tokens, c.tags[0].line
	c.tags = c.tags[1:]
	return c.next().text
}

// ends reads the tag that ends a block.
func (c *compiler) ends(word string) {
	c.tagNamed(word)
	c.end()
}

// tagCode returns a tag with a line break, which the library strips.
func tagCode(format string, args ...any) string { return fmt.Sprintf("{%% "+format+" %%}\n", args...) }

func (c *compiler) statement() string {
	switch word := c.name(); word {
	case "if":
		return c.ifBlock()
	case "for":
		return c.forBlock()
	case "set":
		return c.setTag()
	case "macro":
		return c.macroBlock()
	case "generation":
		c.end()
		code := c.scope(c.body)
		c.ends("endgeneration")
		return code
	case "break", "continue":
		c.end()
		if c.loops == 0 {
			c.fail("%s outside a loop", word)
		}
		return tagCode(word)
	default:
		c.fail("the tag %q is not supported", word)
		return ""
	}
}

func (c *compiler) ifBlock() string {
	code := ""
	for word := "if"; word != "endif"; word = c.tagNamed("elif", "else", "endif") {
		if c.err != nil {
			return ""
		}
		if word == "else" {
			c.end()
			code += tagCode("else") + c.body()
			c.ends("endif")
			break
		}
		code += tagCode("%s (%s)", word, c.or())
		c.end()
		code += c.body()
	}
	return code + tagCode("endif")
}

// scope gives a block its own names, which the library does for macros only: it restores the names that the block sets.
func (c *compiler) scope(block func() string) string {
	names, id, code := c.names(block)
	return saved(names, id) + code + restored(names, id)
}

// names compiles a block, and returns the names that the block sets, and the block's number.
func (c *compiler) names(block func() string) (names []string, id int, code string) {
	outer := c.inner
	c.inner, c.set = true, append(c.set, map[string]bool{})
	code = block()
	for name := range c.set[len(c.set)-1] {
		names = append(names, name)
	}
	slices.Sort(names)
	c.ids++
	c.inner, c.set = outer, c.set[:len(c.set)-1]
	return names, c.ids, code
}

func saved(names []string, id int) string {
	code := ""
	for _, n := range names {
		code += tagCode("set o%d_%s = v_%s", id, n, n)
	}
	return code
}

func restored(names []string, id int) string {
	code := ""
	for _, n := range names {
		code += tagCode("set v_%s = o%d_%s", n, id, n)
	}
	return code
}

// forBlock restores the names that an iteration sets before the next one.
func (c *compiler) forBlock() string {
	targets := []string{c.target()}
	for c.accept(",") {
		targets = append(targets, c.target())
	}
	c.expect("in")
	c.iterable = true
	iter := c.call("iterate", strconv.Itoa(len(targets)), c.or())
	c.iterable = false
	loops := c.loops
	if c.accept("if") {
		c.loops = 0 // there is no loop variable
		iter += fmt.Sprintf(" if (%s)", c.expression())
		if len(targets) > 1 {
			c.fail("a condition in a loop with several names is not supported")
		}
	}
	if c.is("recursive") || len(targets) > 2 {
		c.fail("a recursive loop, or one with over two names, is not supported")
	}
	c.end()
	c.loops = loops + 1
	names, id, body := c.names(c.body)
	c.loops = loops
	names = slices.DeleteFunc(names, func(n string) bool { return slices.Contains(targets, n) })
	head := saved(names, id) + tagCode("for v_%s in %s", strings.Join(targets, ", v_"), iter) +
		"{{ " + c.call("step") + " }}" + restored(names, id)
	if c.tagNamed("else", "endfor") == "endfor" {
		c.end()
		return head + body + tagCode("endfor")
	}
	c.end() // Jinja runs else unless an iteration finished
	code := tagCode("set e%d = %s", id, c.call("dict")) + head + body + tagCode("set e%d.done = true", id) +
		tagCode("endfor") + tagCode("if not e%d.done", id) + c.scope(c.body) + tagCode("endif")
	c.ends("endfor")
	return code
}

func (c *compiler) setTag() string {
	name := c.target()
	if c.accept(".") {
		field := c.name()
		c.expect("=")
		code := tagCode("set v_%s.%s = %s", name, field, c.call("set", "v_"+name, c.expression()))
		c.end()
		return code
	}
	if c.is(",", "|") {
		c.fail("a set with %q is not supported", c.peek().text)
	}
	c.set[len(c.set)-1][name] = true
	if c.accept("=") {
		code := tagCode("set v_%s = %s", name, c.expression())
		c.end()
		return code
	}
	c.end()
	names, id, body := c.names(c.body)
	c.ends("endset")
	return saved(names, id) + tagCode("set v_%s", name) + body + restored(names, id) + tagCode("endset")
}

// signature records a macro before any call is compiled.
func (c *compiler) signature() {
	c.next()
	name, params := c.target(), []param{}
	c.expect("(")
	for c.err == nil && !c.accept(")") {
		p := param{name: c.target()}
		if c.accept("=") {
			constants := []string{"true", "false", "none", "True", "False", "None"}
			if n := c.peek(); n.kind == 'n' && !slices.Contains(constants, n.text) {
				c.fail("a default that is not a literal is not supported")
			}
			p.value = c.primary()
		}
		params = append(params, p)
		if !c.is(")") {
			c.expect(",")
		}
	}
	c.end()
	c.macros[name] = params
}

func (c *compiler) macroBlock() string {
	name := c.peek().text
	if c.loops > 0 || c.inner {
		c.fail("a macro within a loop, a macro or a block is not supported")
	}
	var names []string
	for _, p := range c.macros[name] {
		names = append(names, "v_"+p.name)
	}
	code := tagCode("macro m_%s(%s)", name, strings.Join(names, ", ")) + "{{ " + c.call("enter") + " }}"
	_, _, body := c.names(c.body)
	c.ends("endmacro")
	return code + body + "{{ " + c.call("leave") + " }}" + tagCode("endmacro")
}
