package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/retort-ir/retort/internal/atomicfile"
	"github.com/retort-ir/retort/internal/jsonfile"
	"github.com/retort-ir/retort/internal/regular"
)

// The names in a run folder.
const (
	DataFile = "report.json"
	PageFile = "report.html"
)

// Save writes d into the folder dir as report.json and report.html, each of which appears whole or not at all. Data that are
// not valid are an error and nothing is written.
func Save(dir string, d Data) error {
	d.Version = Version
	if err := d.Validate(); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	err := atomicfile.Write(filepath.Join(dir, DataFile), func(w io.Writer) error {
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		e.SetIndent("", " ")
		return e.Encode(d)
	})
	if err != nil {
		return err
	}
	return SavePage(dir, d)
}

// SavePage writes report.html only.
func SavePage(dir string, d Data) error {
	return atomicfile.Write(filepath.Join(dir, PageFile), func(w io.Writer) error { return Write(w, d) })
}

// Load reads what Save wrote. The error names the file, and the line or the field that is wrong.
func Load(path string) (Data, error) {
	content, err := regular.ReadFile(path, regular.MaxJSON)
	if err != nil {
		return Data{}, err // names the path
	}
	d, err := decode(content)
	if err != nil {
		return Data{}, fmt.Errorf("%s: %w", path, err)
	}
	return d, nil
}

func decode(content []byte) (Data, error) {
	var version struct {
		Version *int `json:"version"`
	}
	if err := jsonfile.Unmarshal(content, &version); err != nil {
		return Data{}, err
	}
	if version.Version == nil {
		return Data{}, errors.New(`no "version": not the data of a report`)
	}
	if *version.Version != Version {
		return Data{}, fmt.Errorf("version %d, but this retort reads version %d", *version.Version, Version)
	}
	var d Data
	// A misspelt field would go missing without a word.
	if err := jsonfile.UnmarshalKnown(content, &d); err != nil {
		return Data{}, err
	}
	return d, d.Validate()
}
