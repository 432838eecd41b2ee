package strictjson

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

type record struct {
	ID    string         `json:"_id"`
	Text  string         `json:"text"`
	Small int8           `json:"small"`
	Count map[string]int `json:"count"`
	Next  *record        `json:"next"`
	Raw   json.RawMessage
	Bytes []byte `json:"bytes"`
}

func TestNamesAreEqualByteForByte(t *testing.T) {
	for _, data := range []string{
		`{"_id":"a","text":"clean","TEXT":"raw","Text":null,"_ID":"z","_Id":7}`,
		`{"_ID":"z","TEXT":"raw","_id":"a","text":"clean"}`,
		`{"_id":"a","text":"clean","te\u017ft":"x","_\u0131d":"k","teſT":3}`,
		`{"_id":"a","text":"clean","raw":{"a":1}}`,
		`{"_id":"a","te\u0078t":"clean"}`,
	} {
		var got record
		require.NoError(t, Unmarshal([]byte(data), &got), data)
		require.Equal(t, record{ID: "a", Text: "clean"}, got, data)
	}
}

func TestMistakesSayWhatAndWhere(t *testing.T) {
	for name, c := range map[string]struct{ data, want string }{
		"a name twice":            {`{"text":"a","text":"b"}`, `the name "text" occurs twice in one object`},
		"a name twice, escaped":   {`{"text":"a","te\u0078t":"b"}`, `the name "text" occurs twice in one object`},
		"an unknown name twice":   {`{"x":1,"x":2}`, `the name "x" occurs twice in one object`},
		"deep in what is skipped": {`{"x":[0,{"y":1,"y":2}]}`, `"/x/1": the name "y" occurs twice in one object`},
		"in a map":                {`{"count":{"a":1,"a":2}}`, `"/count": the name "a" occurs twice in one object`},
		"in a RawMessage":         {`{"Raw":{"a":1,"a":2}}`, `"/Raw": the name "a" occurs twice in one object`},
		"another type":            {`{"next":{"text":1}}`, `"/next/text": a number where a string is wanted`},
		"a fraction":              {`{"small":1.5}`, `"/small": 1.5 where an integer is wanted`},
		"too large":               {`{"small":300}`, `"/small": 300 is out of the range of int8`},
		"NaN":                     {`{"text":NaN}`, `malformed JSON at "/text": JSON has no NaN and no Infinity; write null or leave the name out`},
		"-Infinity": {
			`{"small":-Infinity}`,
			`malformed JSON at "/small": JSON has no NaN and no Infinity; write null or leave the name out`,
		},
		"half a pair":                {`{"text":"one \ud83d fish"}`, `an unpaired surrogate is not a character`},
		"the other half":             {`{"text":"\udc00"}`, `an unpaired surrogate is not a character`},
		"half a pair in a name":      {`{"\ud83d":1}`, `an unpaired surrogate is not a character`},
		"bytes that are no UTF-8":    {"{\"text\":\"\xff\"}", `malformed JSON at "/text": invalid UTF-8`},
		"no UTF-8 in what is no use": {"{\"x\":\"\xff\"}", `malformed JSON at "/x": invalid UTF-8`},
		"cut":                        {`{"text":"a"`, `malformed JSON: it ends too early`},
		"nothing":                    {``, `malformed JSON: it ends too early`},
		"more than one value":        {`{} {}`, `invalid character '{' after top-level value`},
		"an array":                   {`[1]`, `an array where an object is wanted`},
		"too deep":                   {`{"x":` + strings.Repeat("[", 20_000), `exceeded max depth`},
		"a control character":        {"{\"text\":\"a\nb\"}", `malformed JSON at "/text": invalid character '\n' in string`},
		"a name of another program":  {`{"` + "\x1b[31m" + `":1}`, `invalid character '\x1b' in string`},
		"a hostile pointer":          {`{"x\u001b[31m":{"a":1,"a":1}}`, `"/x\x1b[31m": the name "a" occurs twice`},
	} {
		t.Run(name, func(t *testing.T) {
			var got record
			err := Unmarshal([]byte(c.data), &got)
			require.ErrorContains(t, err, c.want)
			require.Less(t, len(err.Error()), 400)
			var mistake *Error
			require.ErrorAs(t, err, &mistake)
			require.LessOrEqual(t, mistake.Offset, int64(len(c.data)))
		})
	}
}

func TestAMistakeKnowsItsLine(t *testing.T) {
	data := []byte("{\n\"_id\": \"a\",\n\"text\": 1\n}")
	var mistake *Error
	require.ErrorAs(t, Unmarshal(data, &record{}), &mistake)
	require.Equal(t, 3, mistake.Line(data))
}

func TestOtherRulesAreThoseOfEncodingJSON(t *testing.T) {
	for _, data := range []string{
		`null`,
		`{}`,
		`{"text":null,"next":null,"count":null}`,
		`{"next":{"next":{"small":-3}}}`,
		`{"bytes":"aGVsbG8="}`,
		`{"text":"\u0000\u001b[31m\u2028\u0085\ud83d\ude00"}`,
		"{\"text\":\"a\u2028b\u0085c\"}",
	} {
		want, got := record{Text: "before", Small: 1}, record{Text: "before", Small: 1}
		require.NoError(t, json.Unmarshal([]byte(data), &want))
		require.NoError(t, Unmarshal([]byte(data), &got))
		require.Equal(t, want, got, data)
	}
}

func TestUnmarshalKnownRefusesOtherNames(t *testing.T) {
	var got record
	require.NoError(t, UnmarshalKnown([]byte(`{"_id":"a"}`), &got))
	require.EqualError(t, UnmarshalKnown([]byte(`{"next":{"TEXT":"a"}}`), &got), `"/next": the name "TEXT" is unknown`)
}

func TestCheckNamesLetsAnAnswerPassThatWasCutWithinACharacter(t *testing.T) {
	require.NoError(t, CheckNames([]byte("{\"text\":\"a\xe2\x82\",\"x\":\"\\ud83d\"}")))
	require.False(t, IsDuplicate(CheckNames([]byte(`{"text"`))))
	require.Error(t, CheckNames([]byte(`{"text"`)))
	require.True(t, IsDuplicate(CheckNames([]byte(`{"choices":[{"text":"a","text":"b"}]}`))))
}

func TestFindMemberFindsTheBytesOfAValue(t *testing.T) {
	data := []byte("{ \"A\": 1, \"a\" :\n [1, {\"a\": 2}] , \"b\": \"x\" }")
	for name, want := range map[string]string{"a": `[1, {"a": 2}]`, "A": "1", "b": `"x"`, "none": ""} {
		start, end, err := FindMember(data, name)
		require.NoError(t, err)
		require.Equal(t, want, string(data[start:end]), name)
	}
	start, end, err := FindMember([]byte("[1]"), "a")
	require.NoError(t, err)
	require.Equal(t, start, end)
	_, _, err = FindMember([]byte(`{"a":1,"a":2}`), "a")
	require.ErrorContains(t, err, `the name "a" occurs twice`)
	_, _, err = FindMember([]byte(`{"a":`), "a")
	require.Error(t, err)
}

// A value that encoding/json reads without folding and without a name twice is the same here.
func FuzzUnmarshal(f *testing.F) {
	f.Add([]byte(`{"_id":"a","text":"x","TEXT":1,"next":{"small":3},"count":{"a":1},"bytes":"aGVsbG8="}`))
	f.Add([]byte(`{"a":[{"b":null},-0,1e5,"\ud83d\ude00"]}`))
	f.Add([]byte(`[[[[]]]]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var got, want any
		if Unmarshal(data, &got) == nil {
			require.NoError(t, json.Unmarshal(data, &want))
			require.Equal(t, want, got)
		}
		var r record
		if err := Unmarshal(data, &r); err != nil {
			require.NotEmpty(t, err.Error())
		}
	})
}
