package transformer

import (
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/internal/encodernet"
	"github.com/retort-ir/retort/internal/modelfolder"
	"github.com/retort-ir/retort/internal/safetensors"
	"github.com/retort-ir/retort/internal/tokenizer"
)

var update = flag.Bool("update", false, "write docs/model-folders.md anew from testdata/keys/rows.json and the schemas")

// keyRow is one key of one file of a model folder with one value, and what becomes of it.
type keyRow struct {
	File, Key string
	Says      string // for the docs
	Base      string // the folder of testdata that is changed; "" is tiny
	Remove    []string
	Set       map[string]map[string]any // merge patches (RFC 7386) by file
	Replace   map[string]any            // whole files
	Error     string                    // where it is refused, with DIR for the folder
	Notes     []string                  // what opening says, with DIR for the folder
	Same      bool                      // the vectors are those of the unchanged folder
}

func (r keyRow) base() string {
	if r.Base == "" {
		return "tiny"
	}
	return r.Base
}

func readKeyRows(t *testing.T) []keyRow {
	var rows []keyRow
	readGolden(t, "testdata/keys/rows.json", &rows)
	return rows
}

func (r keyRow) folder(t *testing.T) string {
	return changedFolder(t, r.base(), func(dir string) {
		remove(t, dir, r.Remove...)
		for name, patch := range r.Set {
			var j map[string]any
			readGolden(t, filepath.Join(dir, name), &j)
			raw, err := json.Marshal(merged(j, patch))
			require.NoError(t, err)
			write(t, dir, name, string(raw))
		}
		for name, value := range r.Replace {
			raw, err := json.Marshal(value)
			require.NoError(t, err)
			write(t, dir, name, string(raw))
		}
	})
}

// merged is a merge patch: objects are merged, null removes a member.
func merged(target, patch map[string]any) map[string]any {
	for key, value := range patch {
		inner, isObject := value.(map[string]any)
		old, wasObject := target[key].(map[string]any)
		switch {
		case value == nil:
			delete(target, key)
		case isObject && wasObject:
			target[key] = merged(old, inner)
		default:
			target[key] = value
		}
	}
	return target
}

// Each row of testdata/keys/rows.json is a folder that is refused with the error there, or whose vectors are those of
// sentence-transformers 6.2 on transformers 5.24 (testdata/keys/make_keys.py).
func TestEveryKeyOfAFolderIsHonouredOrRefusedByName(t *testing.T) {
	golden, err := safetensors.Open("testdata/keys/vectors.safetensors")
	require.NoError(t, err)
	defer golden.Close()
	texts := map[string][]string{}
	readGolden(t, "testdata/keys/texts.json", &texts)
	for number, row := range readKeyRows(t) {
		t.Run(fmt.Sprintf("%d %s of %s", number, row.Key, row.File), func(t *testing.T) {
			dir := row.folder(t)
			f, err := ReadFolder(dir, Options{})
			if row.Error != "" {
				require.EqualError(t, err, strings.ReplaceAll(row.Error, "DIR", dir))
				return
			}
			require.NoError(t, err)
			var notes []string
			for _, note := range f.notes {
				notes = append(notes, strings.ReplaceAll(note, dir, "DIR"))
			}
			require.Equal(t, row.Notes, notes)
			requireEffect(t, golden, number, row)
			for _, role := range []string{"query", "passage"} {
				shape, want, err := golden.Tensor(fmt.Sprintf("%d/%s", number, role))
				require.NoError(t, err)
				require.Equal(t, []int{len(texts[role]), f.Dim()}, shape)
				requireVectors(t, dir, role, texts[role], want)
			}
		})
	}
}

// requireVectors compares the rows of a folder's model with those wanted, end to end.
func requireVectors(t *testing.T, dir, role string, texts []string, want []float32) {
	r := encoder.Query
	if role == encoder.Passage.String() {
		r = encoder.Passage
	}
	eachEngine(t, func(t *testing.T, open func(string, Options) *Model) {
		got := encode(t, open(dir, Options{Threads: 1}), r, texts)
		require.InDeltaSlice(t, want, got.Data, 1e-5, role)
	})
}

// requireEffect makes sure that a row would fail if its key were read past: that its vectors are not those of the
// folder without it, unless the row says so.
func requireEffect(t *testing.T, golden *safetensors.File, number int, row keyRow) {
	same := true
	for _, role := range []string{"query", "passage"} {
		_, got, err := golden.Tensor(fmt.Sprintf("%d/%s", number, role))
		require.NoError(t, err)
		_, base, err := golden.Tensor(fmt.Sprintf("base/%s/%s", row.base(), role))
		require.NoError(t, err)
		same = same && len(got) == len(base)
		for i := 0; same && i < len(got); i++ {
			same = math.Abs(float64(got[i]-base[i])) < 1e-4
		}
	}
	require.Equal(t, row.Same, same, "the vectors of the golden are those of the unchanged folder")
}

// keySchemas are the schemas by the file, as the rows name it, and the keys that lead to the object.
var keySchemas = []struct {
	file, prefix string
	schema       modelfolder.Schema
}{
	{modulesJSON, "", modelfolder.ModuleSchema},
	{routerJSON, "", routerSchema},
	{routerJSON, "parameters: ", routerParametersSchema},
	{"1_Pooling/config.json", "", poolingSchema},
	{"2_Normalize/config.json", "", normalizeSchema},
	{"2_Dense/config.json", "", denseSchema},
	{"2_LayerNorm/config.json", "", layerNormSchema},
	{sentenceTransformersJSON, "", modelfolder.SentenceTransformersSchema},
	{sentenceBERTJSON, "", sentenceBERTSchema},
	{tokenizerConfig, "", tokenizer.ConfigSchema},
	{configJSON, "", encodernet.Families()[0].Schema},
}

func TestEveryKeyOfASchemaHasARow(t *testing.T) {
	has := map[string]bool{}
	for _, row := range readKeyRows(t) {
		prefix, keys := "", row.Key
		if i := strings.Index(keys, ": "); i >= 0 {
			prefix, keys = keys[:i+2], keys[i+2:]
			has[row.File+" "+strings.TrimSuffix(prefix, ": ")] = true
		}
		for _, key := range strings.Split(keys, ", ") {
			has[row.File+" "+prefix+key] = true
		}
	}
	for _, s := range keySchemas {
		keys := slices.Clone(s.schema.Read)
		for _, r := range s.schema.Refused {
			keys = append(keys, r.Key)
		}
		for _, key := range keys {
			require.True(t, has[s.file+" "+s.prefix+key], "no row of testdata/keys/rows.json has %s%s of %s", s.prefix, key,
				s.file)
		}
	}
}

const docsPath = "../../docs/model-folders.md"

// The tables of docs/model-folders.md come from testdata/keys/rows.json; go test -run Docs -update writes them.
func TestDocsHaveEveryRow(t *testing.T) {
	raw, err := os.ReadFile(docsPath)
	require.NoError(t, err)
	head, _, ok := strings.Cut(string(raw), docsMarker)
	require.True(t, ok, "no line %q", docsMarker)
	want := head + docsMarker + "\n" + docsTables(readKeyRows(t))
	if *update {
		require.NoError(t, os.WriteFile(docsPath, []byte(want), 0o644))
		return
	}
	require.Equal(t, want, string(raw), "write it anew: go test ./encoder/transformer -run Docs -update")
}

const docsMarker = "<!-- From here on the file is made from encoder/transformer/testdata/keys/rows.json: see " +
	"TestDocsHaveEveryRow. -->"

func docsTables(rows []keyRow) string {
	var b strings.Builder
	file := ""
	for _, row := range rows {
		if row.File != file {
			finishTable(&b, file)
			file = row.File
			fmt.Fprintf(&b, "\n## %s\n\n| key | value tried | outcome | what becomes of it |\n|---|---|---|---|\n", file)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", keyCell(row.Key), row.valueCell(), row.outcome(), row.saysCell())
	}
	finishTable(&b, file)
	return b.String()
}

func keyCell(key string) string {
	if strings.HasPrefix(key, "the file") || key == "another" || key == "a token" {
		return key
	}
	return "`" + key + "`"
}

// valueCell shows the value of the row's key, or all that the row changes in its file.
func (r keyRow) valueCell() string {
	var value any = r.Set[r.File]
	if r.Set[r.File] == nil {
		value = r.Replace[r.File]
	}
	key := r.Key[strings.LastIndexByte(r.Key, ' ')+1:]
	for _, inner := range []string{"parameters", key} {
		if object, ok := value.(map[string]any); ok && object[inner] != nil && (len(object) == 1 || inner == key) {
			value = object[inner]
		}
	}
	if list, ok := value.([]any); ok && r.File == modulesJSON {
		value = list[len(list)-1]
	}
	if value == nil {
		return ""
	}
	raw, err := json.Marshal(value)
	if err != nil {
		return ""
	}
	text := strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", "|", `\|`).Replace(string(raw))
	if len(text) > 160 {
		text = text[:160] + " ..."
	}
	return "`" + text + "`"
}

func (r keyRow) outcome() string {
	switch {
	case r.Error != "":
		return "refused"
	case r.Same:
		return "changes nothing"
	}
	return "honoured"
}

func (r keyRow) saysCell() string {
	if r.Error == "" {
		return r.Says
	}
	text := "`" + strings.NewReplacer("DIR/", "", "|", `\|`).Replace(r.Error) + "`"
	if r.Says != "" {
		text = r.Says + "<br>" + text
	}
	return text
}

func finishTable(b *strings.Builder, file string) {
	for _, s := range keySchemas {
		if s.file != file || len(s.schema.Harmless) == 0 {
			continue
		}
		keys := slices.Sorted(slices.Values(s.schema.Harmless))
		fmt.Fprintf(b, "\nKnown to change nothing: `%s`.\n", s.prefix+strings.Join(keys, "`, `"+s.prefix))
	}
}
