// Package filekind says what a file is by its first bytes, for errors about a file that is not what its name says: a
// Git LFS pointer, an archive, a web page that a failed download left.
package filekind

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Kind is what a file is.
type Kind struct {
	Name   string // with its article: "a Git LFS pointer"; "" is unknown
	Remedy string // what to do where another file was wanted
}

// The kinds that readers expect, and whose own mistakes they name better.
var (
	Safetensors = Kind{"a safetensors file", "give it the name *.safetensors"}
	GGUF        = Kind{"a GGUF file", "GGUF is read for language models only (-llm FILE)"}
	JSON        = Kind{"JSON text", "download or copy the file again"}
	Text        = Kind{"text", "download or copy the file again"}
)

// HeadBytes is how much of a file Of wants to see.
const HeadBytes = 512

const (
	unpack        = "unpack it first"
	downloadAgain = "download the file again, and check the address and the login"
)

// signatures are those that tell a kind by the bytes at an offset.
var signatures = []struct {
	at    int
	bytes string
	kind  Kind
}{
	{0, "version https://git-lfs.github.com/spec/", Kind{
		"a Git LFS pointer, not the file itself", `run "git lfs pull" in its repository, or download the file again`,
	}},
	{0, "/annex/objects/", Kind{"a git-annex pointer, not the file itself", `run "git annex get" on it`}},
	{0, "# xet version ", Kind{"a Git Xet pointer, not the file itself", "download the file again"}},
	{0, "\x1f\x8b", Kind{"compressed with gzip", unpack}},
	{0, "\x28\xb5\x2f\xfd", Kind{"compressed with zstd", unpack}},
	{0, "\xfd7zXZ\x00", Kind{"compressed with xz", unpack}},
	{0, "BZh", Kind{"compressed with bzip2", unpack}},
	{0, "7z\xbc\xaf\x27\x1c", Kind{"a 7z archive", unpack}},
	{0, "PK\x03\x04", Kind{
		"a ZIP archive, which PyTorch's .bin and .pt files are too", "unpack it, or convert PyTorch weights to safetensors",
	}},
	{257, "ustar", Kind{"a tar archive", unpack}},
	{0, "\x80\x02", pickle},
	{0, "\x80\x03", pickle},
	{0, "\x80\x04", pickle},
	{0, "\x80\x05", pickle},
	{0, "GGUF", GGUF},
	{0, "\x93NUMPY", Kind{"a NumPy array", "give the model's own file"}},
	{0, "\x89HDF\r\n", Kind{"an HDF5 file of TensorFlow", "convert the weights to safetensors"}},
	{0, "\xff\xfe", utf16},
	{0, "\xfe\xff", utf16},
}

var (
	pickle = Kind{"a Python pickle, as older versions of PyTorch write", "convert the weights to safetensors"}
	utf16  = Kind{"UTF-16 text", "save it as UTF-8"}
)

// Of returns the kind of a file that begins with head, of which HeadBytes are enough. A head shorter than that is taken
// for the whole file.
func Of(head []byte) Kind {
	head = head[:min(len(head), HeadBytes)]
	if len(head) == 0 {
		return Kind{"empty", "download or copy the file again"}
	}
	for _, s := range signatures {
		if len(head) >= s.at+len(s.bytes) && string(head[s.at:s.at+len(s.bytes)]) == s.bytes {
			return s.kind
		}
	}
	if len(bytes.Trim(head, "\x00")) == 0 {
		return Kind{"nothing but zero bytes", "download or copy the file again"}
	}
	if isSafetensors(head) {
		return Safetensors
	}
	return ofText(head)
}

// isSafetensors says whether a plausible length stands before a JSON object.
func isSafetensors(head []byte) bool {
	return len(head) > 8 && head[8] == '{' && binary.LittleEndian.Uint64(head) <= 100_000_000
}

func ofText(head []byte) Kind {
	text := strings.TrimPrefix(string(head), "\ufeff")
	if len(head) >= HeadBytes { // which may end within a character
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
		return Kind{"a web page, not the file itself", downloadAgain}
	case strings.HasPrefix(text, "<?xml"), strings.HasPrefix(text, "<error>"):
		return Kind{"an XML document, as servers answer with an error", downloadAgain}
	case strings.HasPrefix(text, "{"), strings.HasPrefix(text, "["):
		return JSON
	}
	return Text
}

// Explain returns err, of a reader that expected one of the kinds, or where the file that begins with head is of
// another known kind an error that names that and what to do about it.
func Explain(err error, head []byte, expected ...Kind) error {
	return explain("", err, head, expected)
}

func explain(path string, err error, head []byte, expected []Kind) error {
	kind := Of(head)
	if err == nil || kind.Name == "" {
		return err
	}
	for _, e := range expected {
		if kind == e {
			return err
		}
	}
	return &wrongKind{path, kind, err}
}

// ExplainFile is Explain for an error that names the file at path, as the new one does. Only regular files are looked
// into.
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

// CheckText returns an error where a file that should be text, and begins with head, is of another known kind.
func CheckText(head []byte) error {
	switch kind := Of(head); kind {
	case Kind{}, Text, JSON:
		return nil
	default:
		return &wrongKind{kind: kind, err: errNoText}
	}
}

// Head reads the first bytes of a regular file.
func Head(path string) ([]byte, error) {
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(err, fmt.Errorf("%s is no regular file", path))
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	head := make([]byte, HeadBytes)
	n, err := io.ReadFull(f, head)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return head[:n], err
}

var errNoText = errors.New("not text")

// wrongKind tells the kind instead of what the reader stumbled over, and still wraps that.
type wrongKind struct {
	path string // "" is not told
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
