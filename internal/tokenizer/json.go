package tokenizer

import (
	"encoding/json"
	"fmt"
)

// isNull reports whether a section is not there.
func isNull(section json.RawMessage) bool { return len(section) == 0 || string(section) == "null" }

func unknownType(name, supported string) error {
	return fmt.Errorf("type %q is not supported; supported are %s", name, supported)
}

// valueOr returns what p points at, or the value of a member that is left out.
func valueOr[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}
