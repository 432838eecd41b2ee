package chattemplate

import (
	"regexp"
	"strings"

	"github.com/ardanlabs/jinja"
)

// operation is the library's code of an operation on operands a, b, c and d (w is Python's white space), and the
// kinds of operands for which the library computes the same as Jinja. Kinds are u(ndefined), n(one), T(rue), F(alse),
// 0, i (an integer above 0), j (below 0), h (beyond 32 bits), x (a float), s(tring), e (the empty string), l(ist), p
// (a tuple), d(ict), N(amespace) and c(allable); S is [se], I is [0ij], B is [TF].
type operation struct {
	template *jinja.Template
	allowed  *regexp.Regexp
}

const (
	equal    = "[Sun].|.[Sun]|II|BB|[lpd][IB]|[IB][lpd]|[lp]d|d[lp]"
	contains = "SS|[Sun][lp]|[Su]d|[SunB]u"
)

// ops are the operations by operator, |filter and .method, with the number of operands of the last two.
var ops = compiled(map[string][2]string{
	"+": {"a + b", "SS|II|ll"}, "-": {"a - b", "II"}, "*": {"a * b", "II|S[0i]"}, "//": {"a // b", "[0i]i"},
	"%": {"a % b", "[0i]i"}, "neg": {"-a", "I"}, "pos": {"+a", "I"}, "~": {"a ~ b", "[SuBI][SuBI]"},
	"==": {"a == b", equal}, "!=": {"a != b", equal}, "in": {"a in b", contains}, "not in": {"a not in b", contains},
	"<": {"a < b", "II"}, "<=": {"a <= b", "II"}, ">": {"a > b", "II"}, ">=": {"a >= b", "II"},
	"item": {"a[b]", "[dN]S|[Slp]I"}, "[:]": {"a[:]", "[Sl]"}, "[b:]": {"a[b:]", "[Sl]I"}, "[:c]": {"a[:b]", "[Sl]I"},
	"[b:c]": {"a[b:c]", "[Sl]II"}, "[::-1]": {"a[::-1]", "[Sl]"},
	"range/1": {"range(a)", "I"}, "range/2": {"range(a, b)", "II"}, "range/3": {"range(a, b, c)", "II[ij]"},

	"|trim/1": {"a.strip(w)", "S"}, "|length/1": {"a | length", "[Slpud]"}, "|count/1": {"a | length", "[Slpud]"},
	"|upper/1": {"a | upper", "S"}, "|lower/1": {"a | lower", "S"}, "|capitalize/1": {"a | capitalize", "S"},
	"|string/1": {"a | string", "[SuBI]"}, "|list/1": {"a | list", "[Sl]"}, "|first/1": {"a | first", "[lp]"},
	"|last/1": {"a | last", "[lp]"}, "|reverse/1": {"a | reverse", "l"}, "|items/1": {"a | items", "[du]"},
	"|int/1":     {"a | int", "[sI]"},
	"|default/1": {"a | default", "."}, "|default/2": {"a | default(b)", ".."},
	"|default/3": {"a | default(b, c)", "..B"}, "|default boolean=/3": {"a | default(b, c)", "..B"},
	"|join/1": {"a | join('')", "l"}, "|join/2": {"a | join(b)", "lS"}, "|replace/3": {"a | replace(b, c)", "SSS"},
	"|tojson/1": {"a | tojson", "[SnBIld]"}, "|map attribute=/2": {"a | map(attribute=b)", "ls"},
	"|selectattr/2": {"a | selectattr(b, 'truthy')", "ls"}, "|selectattr/3": {"a | selectattr(b, c)", "lss"},
	"|selectattr/4": {"a | selectattr(b, c, d)", "lssS"}, "|rejectattr/2": {"a | rejectattr(b, 'truthy')", "ls"},
	"|rejectattr/3": {"a | rejectattr(b, c)", "lss"}, "|rejectattr/4": {"a | rejectattr(b, c, d)", "lssS"},

	".strip/1": {"a.strip(w)", "S"}, ".lstrip/1": {"a.lstrip(w)", "S"}, ".rstrip/1": {"a.rstrip(w)", "S"},
	".strip/2": {"a.strip(b)", "SS"}, ".lstrip/2": {"a.lstrip(b)", "SS"}, ".rstrip/2": {"a.rstrip(b)", "SS"},
	".split/2": {"a.split(b)", "Ss"}, ".startswith/2": {"a.startswith(b)", "SS"}, ".endswith/2": {"a.endswith(b)", "SS"},
	".replace/3": {"a.replace(b, c)", "SSS"}, ".count/2": {"a.count(b)", "SS"}, ".upper/1": {"a.upper()", "S"},
	".lower/1": {"a.lower()", "S"}, ".get/2": {"a.get(b)", "dS"}, ".get/3": {"a.get(b, c)", "dS."},
	".items/1": {"a.items()", "d"}, ".keys/1": {"a.keys()", "d"}, ".values/1": {"a.values()", "d"},

	"?odd/1": {"a is odd", "I"}, "?even/1": {"a is even", "I"}, "?in/2": {"a in b", contains},
	"?equalto/2": {"a == b", equal}, "?eq/2": {"a == b", equal}, "?ne/2": {"a != b", equal},
})

// tests are the kinds for which a test of Jinja holds.
var tests = map[string]*regexp.Regexp{
	"defined": kinds("[^u]"), "undefined": kinds("u"), "none": kinds("n"), "boolean": kinds("B"), "true": kinds("T"),
	"false": kinds("F"), "string": kinds("S"), "integer": kinds("I|h"), "float": kinds("x"), "number": kinds("I|h|x|B"),
	"mapping": kinds("d"), "iterable": kinds("[Slpud]"), "sequence": kinds("[Slpud]"),
}

// members are the names that Jinja finds in a Python dict before its keys.
const members = " clear copy fromkeys get items keys pop popitem setdefault update values "

// compiled compiles the rows of the table.
func compiled(table map[string][2]string) map[string]*operation {
	ops := map[string]*operation{}
	for name, row := range table {
		template, err := jinja.Compile("{{ out(" + row[0] + ") }}")
		if err != nil {
			panic(name + ": " + err.Error()) // a mistake in the table, which every test finds
		}
		ops[name] = &operation{template, kinds(row[1])}
	}
	return ops
}

// kinds compiles a pattern of kinds.
func kinds(pattern string) *regexp.Regexp {
	var b strings.Builder
	inside := false
	for _, r := range pattern {
		class := map[rune]string{'S': "se", 'I': "0ij", 'B': "TF"}[r]
		switch inside = (inside || r == '[') && r != ']'; {
		case class == "":
			b.WriteRune(r)
		case inside:
			b.WriteString(class)
		default:
			b.WriteString("[" + class + "]")
		}
	}
	return regexp.MustCompile("^(?:" + b.String() + ")$")
}
