package chattemplate

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// maxNesting bounds expressions within expressions and tags within tags.
const maxNesting = 200

type parser struct {
	tokens []token
	at     int
	depth  int
	loops  int // for tags around
	ifs    int // conditions around
}

func parse(tokens []token) (body []stmt, err error) {
	p := &parser{tokens: tokens}
	if body, err = p.body(); err == nil && p.peek().kind != endOfFile {
		err = fmt.Errorf("unexpected %s", p.tokens[p.at+1])
	}
	if err != nil {
		return nil, fmt.Errorf("line %d: %w", p.peek().line, err)
	}
	return body, nil
}

func (p *parser) peek() token { return p.tokens[p.at] }

func (p *parser) next() token {
	t := p.tokens[p.at]
	if t.kind != endOfFile {
		p.at++
	}
	return t
}

func (p *parser) is(k kind, text string) bool {
	t := p.peek()
	return t.kind == k && t.text == text
}

func (p *parser) skip(k kind, text string) bool {
	if !p.is(k, text) {
		return false
	}
	p.at++
	return true
}

func (p *parser) expect(k kind, text string) error {
	if p.skip(k, text) {
		return nil
	}
	if k == endTag {
		return fmt.Errorf("unexpected %s, the tag should end here", p.peek())
	}
	return fmt.Errorf("unexpected %s, %q should stand here", p.peek(), text)
}

func (p *parser) name() (string, error) {
	t := p.peek()
	if t.kind != nameToken {
		return "", fmt.Errorf("unexpected %s, a name should stand here", t)
	}
	p.at++
	return t.text, nil
}

func (p *parser) enter() error {
	p.depth++
	if p.depth > maxNesting {
		return fmt.Errorf("nested more than %d deep", maxNesting)
	}
	return nil
}

// body reads up to the end or to a tag that begins with one of ends, which is left to be read.
func (p *parser) body(ends ...string) ([]stmt, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer func() { p.depth-- }()
	var list []stmt
	for {
		t := p.peek()
		switch t.kind {
		case endOfFile:
			if len(ends) > 0 {
				return nil, fmt.Errorf("%s is missing", ends[len(ends)-1])
			}
			return list, nil
		case textToken:
			p.at++
			list = append(list, text(t.text))
		case beginOutput:
			p.at++
			e, err := p.tuple(false)
			if err != nil {
				return nil, err
			}
			if err := p.expect(endTag, ""); err != nil {
				return nil, err
			}
			list = append(list, output{e, t.line})
		case beginTag:
			word := p.tokens[p.at+1]
			if word.kind == nameToken && slices.Contains(ends, word.text) {
				return list, nil
			}
			if word.kind == nameToken && (strings.HasPrefix(word.text, "end") || strings.HasPrefix(word.text, "el")) {
				return nil, fmt.Errorf("unexpected %s", word)
			}
			p.at++
			s, err := p.tag()
			if err != nil {
				return nil, err
			}
			list = append(list, s)
		default:
			return nil, fmt.Errorf("unexpected %s", t)
		}
	}
}

// end reads the tag that ended a body.
func (p *parser) end() error {
	p.at += 2
	return p.expect(endTag, "")
}

func (p *parser) tag() (stmt, error) {
	t := p.peek()
	word, err := p.name()
	if err != nil {
		return nil, err
	}
	switch word {
	case "if":
		return p.ifTag(t.line)
	case "for":
		return p.forTag(t.line)
	case "set":
		return p.setTag(t.line)
	case "macro":
		return p.macroTag(t.line)
	case "generation":
		if err := p.expect(endTag, ""); err != nil {
			return nil, err
		}
		body, err := p.body("endgeneration")
		if err != nil {
			return nil, err
		}
		return block{body}, p.end()
	case "break", "continue":
		if p.loops == 0 {
			return nil, fmt.Errorf("%s outside a loop", word)
		}
		if word == "break" {
			return jump{errBreak}, p.expect(endTag, "")
		}
		return jump{errContinue}, p.expect(endTag, "")
	}
	return nil, fmt.Errorf("the tag %q is not supported; if, for, set, macro, raw, break, continue and generation are", word)
}

func (p *parser) ifTag(line int) (stmt, error) {
	p.ifs++
	defer func() { p.ifs-- }()
	var s ifStmt
	for {
		test, err := p.tuple(false)
		if err != nil {
			return nil, err
		}
		if err := p.expect(endTag, ""); err != nil {
			return nil, err
		}
		body, err := p.body("elif", "else", "endif")
		if err != nil {
			return nil, err
		}
		s.branches = append(s.branches, branch{test, body, line})
		p.at++
		word := p.next()
		line = word.line
		switch word.text {
		case "endif":
			return s, p.expect(endTag, "")
		case "else":
			if err := p.expect(endTag, ""); err != nil {
				return nil, err
			}
			if s.otherwise, err = p.body("endif"); err != nil {
				return nil, err
			}
			return s, p.end()
		}
	}
}

func (p *parser) forTag(line int) (stmt, error) {
	s := forStmt{line: line}
	var err error
	if s.targets, err = p.targets(); err != nil {
		return nil, err
	}
	if err := p.expect(nameToken, "in"); err != nil {
		return nil, err
	}
	if s.items, err = p.tuple(true); err != nil {
		return nil, err
	}
	if p.skip(nameToken, "if") {
		if s.filter, err = p.expression(); err != nil {
			return nil, err
		}
	}
	if p.is(nameToken, "recursive") {
		return nil, fmt.Errorf("a recursive loop is not supported")
	}
	if err := p.expect(endTag, ""); err != nil {
		return nil, err
	}
	p.loops++
	s.body, err = p.body("else", "endfor")
	p.loops--
	if err != nil {
		return nil, err
	}
	if p.tokens[p.at+1].text == "else" {
		if err := p.end(); err != nil {
			return nil, err
		}
		if s.otherwise, err = p.body("endfor"); err != nil {
			return nil, err
		}
	}
	return s, p.end()
}

// targets reads the names that a loop or a set gives values to.
func (p *parser) targets() ([]string, error) {
	bracket := p.skip(operator, "(")
	var names []string
	for {
		name, err := p.name()
		if err != nil {
			return nil, err
		}
		names = append(names, name)
		if !p.skip(operator, ",") {
			break
		}
	}
	if bracket {
		return names, p.expect(operator, ")")
	}
	return names, nil
}

func (p *parser) setTag(line int) (stmt, error) {
	s := setStmt{line: line}
	var err error
	if s.targets, err = p.targets(); err != nil {
		return nil, err
	}
	if len(s.targets) == 1 && p.skip(operator, ".") {
		if s.attribute, err = p.name(); err != nil {
			return nil, err
		}
	}
	if p.skip(operator, "=") {
		if s.value, err = p.tuple(false); err != nil {
			return nil, err
		}
		return s, p.expect(endTag, "")
	}
	if len(s.targets) > 1 {
		return nil, fmt.Errorf("unexpected %s, %q should stand here", p.peek(), "=")
	}
	filters := expr(captured{})
	if filters, err = p.filters(filters); err != nil {
		return nil, err
	}
	if err := p.expect(endTag, ""); err != nil {
		return nil, err
	}
	s.value = filters
	if s.body, err = p.body("endset"); err != nil {
		return nil, err
	}
	s.block = true
	return s, p.end()
}

func (p *parser) macroTag(line int) (stmt, error) {
	name, err := p.name()
	if err != nil {
		return nil, err
	}
	m := macroStmt{name: name, line: line}
	if err := p.expect(operator, "("); err != nil {
		return nil, err
	}
	for !p.skip(operator, ")") {
		parameter, err := p.name()
		if err != nil {
			return nil, err
		}
		m.parameters = append(m.parameters, parameter)
		var value expr
		if p.skip(operator, "=") {
			if value, err = p.expression(); err != nil {
				return nil, err
			}
		}
		m.defaults = append(m.defaults, value)
		if !p.skip(operator, ",") && !p.is(operator, ")") {
			return nil, p.expect(operator, ")")
		}
	}
	if err := p.expect(endTag, ""); err != nil {
		return nil, err
	}
	loops := p.loops
	p.loops = 0
	m.body, err = p.body("endmacro")
	p.loops = loops
	if err != nil {
		return nil, err
	}
	p.at += 2
	if p.peek().kind == nameToken && p.peek().text == name {
		p.at++
	}
	return m, p.expect(endTag, "")
}

// tuple reads an expression, or several with commas. In a loop's header "if" does not belong to it.
func (p *parser) tuple(header bool) (expr, error) {
	one := p.expression
	if header {
		one = p.or
	}
	line := p.peek().line
	first, err := one()
	if err != nil || !p.is(operator, ",") {
		return first, err
	}
	items := []expr{first}
	for p.skip(operator, ",") {
		if t := p.peek(); t.kind == endTag || t.kind == operator && (t.text == ")" || t.text == "=") {
			break
		}
		item, err := one()
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	return listExpr{items, line}, nil
}

func (p *parser) expression() (expr, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer func() { p.depth-- }()
	line := p.peek().line
	value, err := p.or()
	if err != nil {
		return nil, err
	}
	for p.skip(nameToken, "if") {
		test, err := p.or()
		if err != nil {
			return nil, err
		}
		c := conditional{value: value, test: test, line: line}
		if p.skip(nameToken, "else") {
			if c.otherwise, err = p.expression(); err != nil {
				return nil, err
			}
		}
		value = c
	}
	return value, nil
}

func (p *parser) or() (expr, error) { return p.logic("or", p.and) }

func (p *parser) and() (expr, error) { return p.logic("and", p.not) }

func (p *parser) logic(word string, operand func() (expr, error)) (expr, error) {
	left, err := operand()
	if err != nil {
		return nil, err
	}
	for p.skip(nameToken, word) {
		right, err := operand()
		if err != nil {
			return nil, err
		}
		left = logical{word == "or", left, right}
	}
	return left, nil
}

func (p *parser) not() (expr, error) {
	if !p.is(nameToken, "not") {
		return p.comparison()
	}
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer func() { p.depth-- }()
	p.at++
	e, err := p.not()
	return negation{e}, err
}

func (p *parser) comparison() (expr, error) {
	line := p.peek().line
	left, err := p.sum()
	if err != nil {
		return nil, err
	}
	c := comparison{first: left, line: line}
	for {
		op := ""
		switch t := p.peek(); {
		case t.kind == operator && slices.Contains([]string{"==", "!=", "<", "<=", ">", ">="}, t.text), p.is(nameToken, "in"):
			op = p.next().text
		case p.is(nameToken, "not") && p.tokens[p.at+1].kind == nameToken && p.tokens[p.at+1].text == "in":
			p.at += 2
			op = "not in"
		default:
			if len(c.rest) == 0 {
				return left, nil
			}
			return c, nil
		}
		right, err := p.sum()
		if err != nil {
			return nil, err
		}
		c.ops, c.rest = append(c.ops, op), append(c.rest, right)
	}
}

func (p *parser) sum() (expr, error) { return p.arithmetic([]string{"+", "-"}, p.concat) }

func (p *parser) concat() (expr, error) { return p.arithmetic([]string{"~"}, p.product) }

func (p *parser) product() (expr, error) {
	return p.arithmetic([]string{"*", "/", "//", "%"}, p.power)
}

func (p *parser) power() (expr, error) {
	return p.arithmetic([]string{"**"}, func() (expr, error) { return p.unary(true) })
}

func (p *parser) arithmetic(ops []string, operand func() (expr, error)) (expr, error) {
	left, err := operand()
	if err != nil {
		return nil, err
	}
	for {
		t := p.peek()
		if t.kind != operator || !slices.Contains(ops, t.text) {
			return left, nil
		}
		p.at++
		right, err := operand()
		if err != nil {
			return nil, err
		}
		left = arithmetic{t.text, left, right, t.line}
	}
}

func (p *parser) unary(filtered bool) (expr, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer func() { p.depth-- }()
	t := p.peek()
	var e expr
	var err error
	if t.kind == operator && (t.text == "-" || t.text == "+") {
		p.at++
		if e, err = p.unary(false); err != nil {
			return nil, err
		}
		e = arithmetic{t.text, literal{int64(0)}, e, t.line}
	} else if e, err = p.primary(); err != nil {
		return nil, err
	}
	if e, err = p.postfix(e); err != nil || !filtered {
		return e, err
	}
	return p.filters(e)
}

func (p *parser) primary() (expr, error) {
	t := p.next()
	switch t.kind {
	case nameToken:
		switch t.text {
		case "true", "True":
			return literal{true}, nil
		case "false", "False":
			return literal{false}, nil
		case "none", "None":
			return literal{nil}, nil
		}
		return variable{t.text, t.line}, nil
	case stringToken:
		parts := []string{t.text}
		for p.peek().kind == stringToken {
			parts = append(parts, p.next().text)
		}
		return literal{strings.Join(parts, "")}, nil
	case intToken:
		v, err := strconv.ParseInt(strings.ReplaceAll(t.text, "_", ""), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("the number %s is too large", t.text)
		}
		return literal{v}, nil
	case floatToken:
		v, err := strconv.ParseFloat(strings.ReplaceAll(t.text, "_", ""), 64)
		if err != nil {
			return nil, fmt.Errorf("the number %s is too large", t.text)
		}
		return literal{v}, nil
	}
	if t.kind == operator {
		switch t.text {
		case "(":
			return p.parenthesis(t.line)
		case "[":
			items, err := p.list("]")
			return listExpr{items, t.line}, err
		case "{":
			return p.dict(t.line)
		}
	}
	return nil, fmt.Errorf("unexpected %s", t)
}

func (p *parser) parenthesis(line int) (expr, error) {
	if p.skip(operator, ")") {
		return listExpr{nil, line}, nil
	}
	e, err := p.tuple(false)
	if err != nil {
		return nil, err
	}
	return e, p.expect(operator, ")")
}

func (p *parser) list(end string) ([]expr, error) {
	var items []expr
	for !p.skip(operator, end) {
		e, err := p.expression()
		if err != nil {
			return nil, err
		}
		items = append(items, e)
		if !p.skip(operator, ",") && !p.is(operator, end) {
			return nil, p.expect(operator, end)
		}
	}
	return items, nil
}

func (p *parser) dict(line int) (expr, error) {
	d := dictExpr{line: line}
	for !p.skip(operator, "}") {
		key, err := p.expression()
		if err != nil {
			return nil, err
		}
		if err := p.expect(operator, ":"); err != nil {
			return nil, err
		}
		value, err := p.expression()
		if err != nil {
			return nil, err
		}
		d.keys, d.values = append(d.keys, key), append(d.values, value)
		if !p.skip(operator, ",") && !p.is(operator, "}") {
			return nil, p.expect(operator, "}")
		}
	}
	return d, nil
}

func (p *parser) postfix(e expr) (expr, error) {
	for {
		t := p.peek()
		if t.kind != operator {
			return e, nil
		}
		var err error
		switch t.text {
		case ".":
			p.at++
			name := p.next()
			switch name.kind {
			case nameToken:
				e = attribute{e, name.text, t.line}
			case intToken:
				i, _ := strconv.ParseInt(name.text, 10, 64)
				e = item{e, literal{i}, t.line}
			default:
				return nil, fmt.Errorf("unexpected %s, a name should stand here", name)
			}
		case "[":
			p.at++
			e, err = p.subscript(e, t.line)
		case "(":
			p.at++
			c := call{of: e, line: t.line}
			c.arguments, err = p.arguments()
			e = c
		default:
			return e, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

func (p *parser) subscript(e expr, line int) (expr, error) {
	s := slice{of: e, line: line}
	parts := []*expr{&s.from, &s.to, &s.step}
	colons := 0
	for {
		if p.skip(operator, "]") {
			break
		}
		if p.skip(operator, ":") {
			if colons++; colons > 2 {
				return nil, fmt.Errorf("unexpected %q", ":")
			}
			continue
		}
		if *parts[colons] != nil {
			return nil, p.expect(operator, "]")
		}
		part, err := p.expression()
		if err != nil {
			return nil, err
		}
		*parts[colons] = part
	}
	if colons > 0 {
		return s, nil
	}
	if s.from == nil {
		return nil, fmt.Errorf("empty brackets")
	}
	return item{e, s.from, line}, nil
}

// arguments reads what follows the bracket of a call.
func (p *parser) arguments() (arguments, error) {
	a := arguments{}
	for !p.skip(operator, ")") {
		if t := p.peek(); t.kind == operator && (t.text == "*" || t.text == "**") {
			return a, fmt.Errorf("arguments with %s are not supported", t.text)
		}
		name := ""
		if next := p.tokens[p.at+1]; p.peek().kind == nameToken && next.kind == operator && next.text == "=" {
			name = p.next().text
			p.at++
		} else if len(a.names) > 0 {
			return a, fmt.Errorf("an argument without a name behind one with a name")
		}
		value, err := p.expression()
		if err != nil {
			return a, err
		}
		if name != "" {
			a.names, a.named = append(a.names, name), append(a.named, value)
		} else {
			a.positional = append(a.positional, value)
		}
		if !p.skip(operator, ",") && !p.is(operator, ")") {
			return a, p.expect(operator, ")")
		}
	}
	return a, nil
}

// filters reads the filters and tests behind an expression.
func (p *parser) filters(e expr) (expr, error) {
	for {
		line := p.peek().line
		var err error
		switch {
		case p.skip(operator, "|"):
			e, err = p.filter(e, line)
		case p.skip(nameToken, "is"):
			e, err = p.test(e, line)
		case p.is(operator, "("):
			p.at++
			c := call{of: e, line: line}
			c.arguments, err = p.arguments()
			e = c
		default:
			return e, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

func (p *parser) filter(e expr, line int) (expr, error) {
	name, err := p.name()
	if err != nil {
		return nil, err
	}
	f := filterExpr{applied{of: e, name: name, line: line}}
	if _, ok := filters[name]; !ok && p.ifs == 0 {
		return nil, unsupportedFilter(name)
	}
	if p.skip(operator, "(") {
		f.arguments, err = p.arguments()
	}
	return f, err
}

// unsupportedFilter is the error of a filter that Retort lacks. As in Jinja, it comes when the template is compiled,
// or, within a condition, when that holds: templates of today have branches for tools, which no prompt of Retort
// reaches.
func unsupportedFilter(name string) error { return fmt.Errorf("the filter %q is not supported", name) }

func (p *parser) test(e expr, line int) (expr, error) {
	negated := p.skip(nameToken, "not")
	name, err := p.name()
	if err != nil {
		return nil, err
	}
	if name, err = testName(name); err != nil {
		return nil, err
	}
	t := testExpr{applied{of: e, name: name, line: line}}
	next := p.peek()
	switch {
	case p.skip(operator, "("):
		if t.arguments, err = p.arguments(); err != nil {
			return nil, err
		}
	case next.kind == stringToken || next.kind == intToken || next.kind == floatToken,
		next.kind == operator && (next.text == "[" || next.text == "{"),
		next.kind == nameToken && !slices.Contains([]string{"else", "or", "and", "is", "if", "in", "not", "recursive"}, next.text):
		argument, err := p.primary()
		if err != nil {
			return nil, err
		}
		if argument, err = p.postfix(argument); err != nil {
			return nil, err
		}
		t.positional = []expr{argument}
	}
	if negated {
		return negation{t}, nil
	}
	return t, nil
}
