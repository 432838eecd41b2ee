// Package jsonfile reads and writes the small JSON files of a model folder. Its errors name the file, and the line of a
// mistake.
package jsonfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/retort-ir/retort/internal/atomicfile"
	"github.com/retort-ir/retort/internal/filekind"
	"github.com/retort-ir/retort/internal/regular"
	"github.com/retort-ir/retort/internal/strictjson"
)

// Read reads a JSON file into v. It skips a byte order mark.
func Read(path string, v any) error {
	raw, err := regular.ReadFile(path, regular.MaxJSON)
	if err != nil {
		return err
	}
	if err := Unmarshal(bytes.TrimPrefix(raw, []byte("\ufeff")), v); err != nil {
		return fmt.Errorf("%s: %w", path, filekind.Explain(err, raw, filekind.JSON, filekind.Text))
	}
	return nil
}

// Unmarshal is [strictjson.Unmarshal] with the line of a mistake in the error.
func Unmarshal(raw []byte, v any) error {
	return located(raw, strictjson.Unmarshal(raw, v))
}

// UnmarshalKnown is Unmarshal, except that an unknown name is an error.
func UnmarshalKnown(raw []byte, v any) error {
	return located(raw, strictjson.UnmarshalKnown(raw, v))
}

func located(raw []byte, err error) error {
	var mistake *strictjson.Error
	if errors.As(err, &mistake) {
		return fmt.Errorf("line %d: %w", mistake.Line(raw), err)
	}
	return err
}

// Write writes v, indented, and makes the folder of path. The file appears whole or not at all.
func Write(path string, v any) error {
	raw, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(path), err)
	}
	return atomicfile.WriteBytes(path, append(raw, '\n'))
}
