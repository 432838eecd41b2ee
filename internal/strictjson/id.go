package strictjson

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// ID is an identifier that JSON holds as a string or as an integer, whose digits are then the text.
type ID string

// UnmarshalJSONFrom reads a string or an integer. It refuses a fraction, whose text has more than one form.
func (id *ID) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	if d.PeekKind() == '"' {
		token, err := d.ReadToken()
		if err == nil {
			*id = ID(token.String())
		}
		return err
	}
	value, err := d.ReadValue()
	if err != nil {
		return err
	}
	if value.Kind() == '0' && !bytes.ContainsAny(value, ".eE") {
		*id = ID(value)
		return nil
	}
	what := jsonKind(value.Kind())
	if value.Kind() == '0' {
		what = "the number " + cut(string(value))
	}
	return fmt.Errorf("%s where an id is wanted: write the id as a string, or as an integer", what)
}

// NameLike returns the name in an object that may mean wanted: wanted itself, a name that differs in case, or one of
// others; "" if there is none.
func NameLike(object []byte, wanted string, others ...string) string {
	var members map[string]jsontext.Value
	if err := Unmarshal(object, &members); err != nil {
		return ""
	}
	if _, ok := members[wanted]; ok {
		return wanted
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if sameFolded(name, wanted) {
			return name
		}
	}
	for _, other := range others {
		if _, ok := members[other]; ok {
			return other
		}
	}
	return ""
}

// sameFolded also folds the dotless and the dotted i of Turkish, which Unicode's folding keeps apart from i.
func sameFolded(name, wanted string) bool {
	return strings.EqualFold(strings.TrimSpace(dotlessI.Replace(name)), wanted)
}

var dotlessI = strings.NewReplacer("\u0131", "i", "\u0130", "I")
