package textfile

import (
	"bytes"
	"errors"
	"fmt"
)

// check says what a file is that begins like this, where it is no text.
func check(start []byte) error {
	if IsPointer(start) {
		return ErrPointer
	}
	if encoding := wideEncoding(start); encoding != "" {
		return fmt.Errorf("the text is in %s: write it in UTF-8 (iconv -f %[1]s -t UTF-8 FILE)", encoding)
	}
	for _, f := range formats {
		if len(start) > f.at && hasPrefix(start[f.at:], []byte(f.magic)) {
			return fmt.Errorf("%s: %s", f.name, f.remedy)
		}
	}
	return nil
}

// ErrPointer says that a file is not there: Git has left a pointer of Git LFS in its place.
var ErrPointer = errors.New("a pointer of Git LFS, not the file itself: fetch the file with \"git lfs pull\", or download it anew")

// IsPointer says whether a file that begins like this is a pointer of Git LFS.
func IsPointer(start []byte) bool {
	return hasPrefix(start, []byte("version https://git-lfs.github.com/spec/"))
}

const (
	unpackIt  = "unpack it first; gzip and zstd are read as they are"
	convertIt = "write it as text first"
)

// formats are what users take for text files, each known by its first bytes.
var formats = []struct {
	name   string
	at     int
	magic  string
	remedy string
}{
	{"an xz file", 0, "\xfd7zXZ\x00", unpackIt},
	{"a bzip2 file", 0, "BZh", unpackIt},
	{"a zip archive", 0, "PK\x03\x04", unpackIt},
	{"a 7z archive", 0, "7z\xbc\xaf\x27\x1c", unpackIt},
	{"an lz4 file", 0, "\x04\x22\x4d\x18", unpackIt},
	{"a tar archive", 257, "ustar", "unpack it (tar -xf) and name the file in it"},
	{"a Parquet file", 0, "PAR1", convertIt},
	{"an Arrow file", 0, "ARROW1", convertIt},
	{"an SQLite database", 0, "SQLite format 3\x00", convertIt},
	{"a NumPy file", 0, "\x93NUMPY", convertIt},
	{"a PDF file", 0, "%PDF-", convertIt},
	{"an HDF5 file", 0, "\x89HDF\r\n", convertIt},
	{"a Python pickle", 0, "\x80\x04\x95", convertIt},
	{"a GGUF model", 0, "GGUF", "name a text file"},
	{"an executable", 0, "\x7fELF", "name a text file"},
}

// wideEncoding finds the encodings of Unicode that Windows writes, with or without a byte order mark.
func wideEncoding(start []byte) string {
	switch {
	case hasPrefix(start, []byte("\xff\xfe\x00\x00")), hasPrefix(start, []byte("\x00\x00\xfe\xff")):
		return "UTF-32"
	case hasPrefix(start, []byte("\xff\xfe")), hasPrefix(start, []byte("\xfe\xff")):
		return "UTF-16"
	case len(start) >= 4 && start[0] != 0 && start[1] == 0 && start[2] != 0 && start[3] == 0:
		return "UTF-16LE"
	case len(start) >= 4 && start[0] == 0 && start[1] != 0 && start[2] == 0 && start[3] != 0:
		return "UTF-16BE"
	}
	return ""
}

func hasPrefix(start []byte, prefixes ...[]byte) bool {
	for _, p := range prefixes {
		if bytes.HasPrefix(start, p) {
			return true
		}
	}
	return false
}
