// Package strictjson decodes JSON as it is written. The package encoding/json takes "TEXT" for "text", and of two equal
// names it takes the last. Here a name is the name of a field only if all bytes are equal, and a name that occurs twice
// in one object is an error, at any depth, and so are bytes that are no UTF-8 and unpaired surrogates. Names that no
// field has are skipped. In all else the rules are those of encoding/json: null leaves a value as it was, and more than
// 10,000 levels are an error.
package strictjson

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	jsonv1 "github.com/go-json-experiment/json/v1"
)

var (
	strict = json.JoinOptions(
		jsonv1.DefaultOptionsV1(),
		jsonv1.ReportErrorsWithLegacySemantics(false),
		json.MatchCaseInsensitiveNames(false),
		jsontext.AllowDuplicateNames(false),
		jsontext.AllowInvalidUTF8(false),
	)
	noUnknownNames = json.JoinOptions(strict, json.RejectUnknownMembers(true))
)

// Unmarshal decodes the one value in data into v. Its errors are of type *Error, or come from v's own UnmarshalJSON.
func Unmarshal(data []byte, v any) error {
	return located(data, json.Unmarshal(data, v, strict))
}

// UnmarshalKnown is Unmarshal, except that an unknown name is an error.
func UnmarshalKnown(data []byte, v any) error {
	return located(data, json.Unmarshal(data, v, noUnknownNames))
}

// CheckNames returns an error unless data is one value in which no object has a name twice. It accepts invalid UTF-8: a
// server may cut an answer within a character.
func CheckNames(data []byte) error {
	var value jsontext.Value
	return located(data, json.Unmarshal(data, &value, strict, jsontext.AllowInvalidUTF8(true)))
}

// FindMember returns the range in data of the value of an object's member; start == end if data is not an object or has
// no such member.
func FindMember(data []byte, name string) (start, end int, err error) {
	d := jsontext.NewDecoder(bytes.NewReader(data))
	if d.PeekKind() != '{' {
		_, err := d.ReadValue()
		return 0, 0, located(data, err)
	}
	if _, err := d.ReadToken(); err != nil {
		return 0, 0, located(data, err)
	}
	for d.PeekKind() != '}' {
		key, err := d.ReadToken()
		if err != nil {
			return 0, 0, located(data, err)
		}
		found := key.String() == name
		value, err := d.ReadValue()
		if err != nil {
			return 0, 0, located(data, err)
		}
		if found {
			end = int(d.InputOffset())
			start = end - len(value)
		}
	}
	return start, end, nil
}

// IsDuplicate says whether err is about a name that occurs twice.
func IsDuplicate(err error) bool { return errors.Is(err, jsontext.ErrDuplicateName) }

// Error says what is wrong with JSON and where.
type Error struct {
	Offset  int64  // of the byte in the data, from 0
	Pointer string // to the value (RFC 6901), "" for the whole
	Reason  string
	Syntax  bool // the data are not JSON
	Err     error
}

func (e *Error) Error() string {
	switch {
	case e.Syntax && e.Pointer != "":
		return fmt.Sprintf("malformed JSON at %s: %s", quoteCut(e.Pointer), e.Reason)
	case e.Syntax:
		return "malformed JSON: " + e.Reason
	case e.Pointer != "":
		return fmt.Sprintf("%s: %s", quoteCut(e.Pointer), e.Reason)
	}
	return e.Reason
}

func (e *Error) Unwrap() error { return e.Err }

// Line returns the number of the line of data in which the mistake is, from 1.
func (e *Error) Line(data []byte) int {
	end := min(max(0, int(e.Offset)), len(data))
	return 1 + bytes.Count(data[:end], []byte("\n"))
}

func located(data []byte, err error) error {
	if err == nil {
		return nil
	}
	var syntactic *jsontext.SyntacticError
	if errors.As(err, &syntactic) {
		return syntaxError(data, syntactic)
	}
	var semantic *json.SemanticError
	if errors.As(err, &semantic) {
		return typeError(semantic)
	}
	return err
}

func syntaxError(data []byte, err *jsontext.SyntacticError) error {
	e := &Error{Offset: err.ByteOffset, Pointer: string(err.JSONPointer), Syntax: true, Err: err}
	rest := data[min(max(0, int(err.ByteOffset)), len(data)):]
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName):
		e.Pointer, e.Syntax = string(err.JSONPointer.Parent()), false
		e.Reason = fmt.Sprintf("the name %q occurs twice in one object", err.JSONPointer.LastToken())
	case len(bytes.TrimSpace(rest)) == 0:
		e.Reason = "it ends too early"
	case isNumberWord(rest):
		e.Reason = "JSON has no NaN and no Infinity; write null or leave the name out"
	default:
		e.Reason = strings.TrimPrefix(err.Err.Error(), "jsontext: ")
		if bytes.HasPrefix(rest, []byte(`\u`)) || strings.Contains(e.Reason, "surrogate") {
			e.Reason += ": an unpaired surrogate is not a character, the text was cut inside one; drop it or write \\ufffd"
		}
	}
	return e
}

func isNumberWord(rest []byte) bool {
	rest = bytes.TrimPrefix(rest, []byte("-"))
	return bytes.HasPrefix(rest, []byte("NaN")) || bytes.HasPrefix(rest, []byte("Infinity"))
}

func typeError(err *json.SemanticError) error {
	// An UnmarshalJSON that calls this package returns a more precise error, located within its own value.
	var inner *Error
	if errors.As(err.Err, &inner) {
		return &Error{
			Offset: err.ByteOffset + inner.Offset, Pointer: string(err.JSONPointer) + inner.Pointer,
			Reason: inner.Reason, Syntax: inner.Syntax, Err: err,
		}
	}
	e := &Error{Offset: err.ByteOffset, Pointer: string(err.JSONPointer), Err: err}
	switch {
	case errors.Is(err.Err, json.ErrUnknownName):
		e.Pointer = string(err.JSONPointer.Parent())
		e.Reason = fmt.Sprintf("the name %q is unknown", err.JSONPointer.LastToken())
	case errors.Is(err.Err, strconv.ErrRange):
		e.Reason = fmt.Sprintf("%s is out of the range of %s", cut(string(err.JSONValue)), err.GoType)
	case errors.Is(err.Err, strconv.ErrSyntax):
		e.Reason = fmt.Sprintf("%s where %s is wanted", cut(string(err.JSONValue)), goKind(err.GoType))
	case err.Err != nil:
		e.Reason = err.Err.Error()
	default:
		e.Reason = fmt.Sprintf("%s where %s is wanted", jsonKind(err.JSONKind), goKind(err.GoType))
	}
	return e
}

func jsonKind(k jsontext.Kind) string {
	switch k {
	case '"':
		return "a string"
	case '0':
		return "a number"
	case '{':
		return "an object"
	case '[':
		return "an array"
	}
	return k.String()
}

func goKind(t reflect.Type) string {
	if t == nil {
		return "another type"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return goKind(t.Elem())
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Struct, reflect.Map:
		return "an object"
	case reflect.Slice, reflect.Array:
		return "an array"
	}
	if t.Kind() >= reflect.Int && t.Kind() <= reflect.Uint64 {
		return "an integer"
	}
	return t.String()
}

// quoteCut keeps the text of a hostile file from filling or controlling a terminal.
func quoteCut(text string) string { return strconv.Quote(cut(text)) }

func cut(text string) string {
	const most = 100
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "..."
	}
	return text
}
