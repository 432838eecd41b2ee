package main

import (
	"strings"

	"github.com/retort-ir/retort"
)

// fieldFlags replaces the fields in the library's messages by their flags.
var fieldFlags = strings.NewReplacer(
	"Options.QueryPrompt", "-query-prompt", "Options.PassagePrompt", "-passage-prompt",
	"Recipe.Judged", "-queries and -qrels", "Recipe.KeepLast", "-keep last", "Recipe.Interpolate", "-interpolate",
	"Recipe.Widths", "-matryoshka", "Options.Widths", "-matryoshka",
	"Recipe.Retention.MaxDrop", "-retention-drop",
	"Recipe.Mining.Filters.MinAgreement and AgreementWeight", "-min-agreement and -agreement-weight",
)

// flagError names flags in place of fields.
type flagError struct{ error }

func (e flagError) Error() string { return fieldFlags.Replace(e.error.Error()) }
func (e flagError) Unwrap() error { return e.error }

func withFlags(err error) error {
	if err == nil {
		return nil
	}
	return flagError{err}
}

// withFlagNames names flags in place of fields in notes and warnings.
func withFlagNames(e retort.Events) retort.Events {
	note, warning := e.Note, e.Warning
	e.Note = func(text string) { note(fieldFlags.Replace(text)) }
	e.Warning = func(w retort.Warning) {
		w.Message = fieldFlags.Replace(w.Message)
		warning(w)
	}
	return e
}
