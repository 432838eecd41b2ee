// Package filekind recognises a file by its first bytes. Errors use it where a file is not what its name says: a Git
// LFS pointer, an archive, a web page that a failed download left.
package filekind

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/retort-ir/retort/internal/regular"
)

// Kind is what a file is.
type Kind struct {
	Name       string // with its article: "a Git LFS pointer"; "" is unknown
	Remedy     string // what to do where a file of a model was wanted
	TextRemedy string // what to do where text was wanted; "" is Remedy
}

// The kinds that readers expect.
var (
	Safetensors = Kind{Name: "a safetensors file", Remedy: "give it the name *.safetensors"}
	GGUF        = Kind{
		Name: "a GGUF file", Remedy: "GGUF is read for language models only (-llm FILE)", TextRemedy: "name a text file",
	}
	PyTorch = Kind{
		"a ZIP archive, which PyTorch's .bin and .pt files are too", `unpack it, or name PyTorch weights "pytorch_model.bin"`,
		unpackText,
	}
	Pickle = Kind{
		"a Python pickle, as older versions of PyTorch write", `name PyTorch weights "pytorch_model.bin"`, convertText,
	}
	JSON = Kind{Name: "JSON text", Remedy: "download or copy the file again"}
	Text = Kind{Name: "text", Remedy: "download or copy the file again"}
)

// headBytes is how many bytes of a file Of looks at.
const headBytes = 512

const (
	unpack        = "unpack it first"
	unpackText    = "unpack it first; gzip and zstd are read as they are"
	convertText   = "write it as text first"
	nameModel     = "give the model's own file"
	nameText      = "name a text file"
	downloadAgain = "download the file again, and check the address and the login"
)

// signatures are the bytes at an offset that identify a kind.
var signatures = []struct {
	at    int
	bytes string
	kind  Kind
}{
	{0, "version https://git-lfs.github.com/spec/", Kind{
		"a Git LFS pointer, not the file itself", `run "git lfs pull" in its repository, or download the file again`, "",
	}},
	{0, "/annex/objects/", Kind{"a git-annex pointer, not the file itself", `run "git annex get" on it`, ""}},
	{0, "# xet version ", Kind{"a Git Xet pointer, not the file itself", "download the file again", ""}},
	{0, "\x1f\x8b", Kind{"compressed with gzip", unpack, unpackText}},
	{0, "\x28\xb5\x2f\xfd", Kind{"compressed with zstd", unpack, unpackText}},
	{0, "\xfd7zXZ\x00", Kind{"compressed with xz", unpack, unpackText}},
	{0, "BZh", Kind{"compressed with bzip2", unpack, unpackText}},
	{0, "\x04\x22\x4d\x18", Kind{"compressed with lz4", unpack, unpackText}},
	{0, "7z\xbc\xaf\x27\x1c", Kind{"a 7z archive", unpack, unpackText}},
	{0, "PK\x03\x04", PyTorch},
	{257, "ustar", Kind{"a tar archive", unpack, "unpack it (tar -xf) and name the file in it"}},
	{0, "\x80\x02", Pickle},
	{0, "\x80\x03", Pickle},
	{0, "\x80\x04", Pickle},
	{0, "\x80\x05", Pickle},
	{0, "GGUF", GGUF},
	{0, "PAR1", Kind{"a Parquet file", nameModel, convertText}},
	{0, "ARROW1", Kind{"an Arrow file", nameModel, convertText}},
	{0, "SQLite format 3\x00", Kind{"an SQLite database", nameModel, convertText}},
	{0, "%PDF-", Kind{"a PDF file", nameModel, convertText}},
	{0, "\x7fELF", Kind{"an executable", nameModel, nameText}},
	{0, "\x93NUMPY", Kind{"a NumPy array", nameModel, convertText}},
	{0, "\x89HDF\r\n", Kind{"an HDF5 file", "convert the weights to safetensors", convertText}},
	{0, "\xff\xfe\x00\x00", wideText("UTF-32")},
	{0, "\x00\x00\xfe\xff", wideText("UTF-32")},
	{0, "\xff\xfe", wideText("UTF-16")},
	{0, "\xfe\xff", wideText("UTF-16")},
}

func wideText(encoding string) Kind {
	return Kind{Name: "text in " + encoding, Remedy: fmt.Sprintf("write it in UTF-8 (iconv -f %s -t UTF-8 FILE)",
		encoding)}
}

// Of returns the kind of a file from its first 512 bytes. A shorter head is the whole file.
func Of(head []byte) Kind {
	head = head[:min(len(head), headBytes)]
	if len(head) == 0 {
		return Kind{Name: "empty", Remedy: "download or copy the file again"}
	}
	if kind := bySignature(head); kind.Name != "" {
		return kind
	}
	if len(bytes.Trim(head, "\x00")) == 0 {
		return Kind{Name: "all zero bytes", Remedy: "download or copy the file again"}
	}
	if isSafetensors(head) {
		return Safetensors
	}
	if kind := unmarkedWideText(head); kind.Name != "" {
		return kind
	}
	return ofText(head)
}

func bySignature(head []byte) Kind {
	for _, s := range signatures {
		if len(head) >= s.at+len(s.bytes) && string(head[s.at:s.at+len(s.bytes)]) == s.bytes {
			return s.kind
		}
	}
	return Kind{}
}

// unmarkedWideText recognises UTF-16 without a byte order mark by the first two characters, which are ASCII in most
// files.
func unmarkedWideText(head []byte) Kind {
	if len(head) < 4 {
		return Kind{}
	}
	switch [4]bool{head[0] == 0, head[1] == 0, head[2] == 0, head[3] == 0} {
	case [4]bool{false, true, false, true}:
		return wideText("UTF-16LE")
	case [4]bool{true, false, true, false}:
		return wideText("UTF-16BE")
	}
	return Kind{}
}

// isSafetensors says whether a plausible length precedes a JSON object.
func isSafetensors(head []byte) bool {
	return len(head) > 8 && head[8] == '{' && binary.LittleEndian.Uint64(head) <= 100_000_000
}

func ofText(head []byte) Kind {
	text := strings.TrimPrefix(string(head), "\ufeff")
	if len(head) >= headBytes { // the head may end within a character
		for i := 0; i < utf8.UTFMax && !utf8.ValidString(text); i++ {
			text = text[:len(text)-1]
		}
	}
	isControl := func(r rune) bool { return unicode.IsControl(r) && !unicode.IsSpace(r) }
	if !utf8.ValidString(text) || strings.ContainsFunc(text, isControl) {
		return Kind{}
	}
	text = strings.ToLower(strings.TrimSpace(text))
	switch {
	case strings.HasPrefix(text, "<!doctype html"), strings.HasPrefix(text, "<html"):
		return Kind{Name: "a web page, not the file itself", Remedy: downloadAgain}
	case strings.HasPrefix(text, "<?xml"), strings.HasPrefix(text, "<error>"):
		return Kind{Name: "an XML document, as servers answer with an error", Remedy: downloadAgain}
	case strings.HasPrefix(text, "{"), strings.HasPrefix(text, "["):
		return JSON
	}
	return Text
}

// Explain returns err, the error of a reader that expected one of the kinds. If head shows that the file is of another
// known kind, Explain wraps err in an error that names the kind and the remedy.
func Explain(err error, head []byte, expected ...Kind) error {
	return explain("", err, head, expected)
}

func explain(path string, err error, head []byte, expected []Kind) error {
	kind := Of(head)
	if err == nil || kind.Name == "" || slices.Contains(expected, kind) {
		return err
	}
	return &wrongKind{path, kind, err}
}

// ExplainFile is Explain for an error that names the file at path; the new error names it too. It reads regular files
// only.
func ExplainFile(err error, path string, expected ...Kind) error {
	if err == nil {
		return nil
	}
	head, headErr := Head(path)
	if headErr != nil {
		return err
	}
	return explain(path, err, head, expected)
}

// CheckText returns an error if head shows that a model's file, which should be text, is of another known kind.
func CheckText(head []byte) error {
	switch kind := Of(head); kind {
	case Kind{}, Text, JSON:
		return nil
	default:
		return &wrongKind{kind: kind, err: errNoText}
	}
}

// CheckData returns an error if head shows that a user's file, which should be text, is an archive, a binary format, a
// pointer or text that is not in UTF-8. It accepts empty files and web pages: the reader of the text names their line.
func CheckData(head []byte) error {
	kind := bySignature(head)
	if kind.Name == "" {
		kind = unmarkedWideText(head)
	}
	if kind.Name == "" {
		return nil
	}
	return fmt.Errorf("the file is %s: %s", kind.Name, cmp.Or(kind.TextRemedy, kind.Remedy))
}

// Head reads the first bytes of a regular file.
func Head(path string) ([]byte, error) {
	f, err := regular.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, headBytes))
}

var errNoText = errors.New("not text")

// wrongKind wraps a reader's error and names the kind of the file instead.
type wrongKind struct {
	path string // may be ""
	kind Kind
	err  error
}

func (w *wrongKind) Error() string {
	if w.kind == Text || w.kind == JSON {
		return fmt.Sprintf("%v (the file is %s; %s)", w.err, w.kind.Name, w.kind.Remedy)
	}
	text := fmt.Sprintf("the file is %s; %s", w.kind.Name, w.kind.Remedy)
	if w.path != "" {
		return w.path + ": " + text
	}
	return text
}

func (w *wrongKind) Unwrap() error { return w.err }
