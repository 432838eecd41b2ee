package tokenizer

import (
	"encoding/json"
	"fmt"
)

// isNull says whether a section is missing or null.
func isNull(section json.RawMessage) bool { return len(section) == 0 || string(section) == "null" }

func unknownType(name, supported string) error {
	return fmt.Errorf("type %q is not supported; supported are %s", name, supported)
}

// valueOr returns *p, or otherwise if p is nil.
func valueOr[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}
