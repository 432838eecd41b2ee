package checkpoint

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// CheckSameRun returns an error that says what differs between the run of a checkpoint and this one, each by name all that
// decides its result. Where a value says nothing to people, what says it instead.
func CheckSameRun(theirs, ours, what map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(ours)) {
		if theirs[name] == ours[name] {
			continue
		}
		if said, ok := what[name]; ok {
			return errors.New(said)
		}
		return fmt.Errorf("%s is %s there and %s here", name, theirs[name], ours[name])
	}
	return nil
}

// Describe tells values apart by their type and exported fields.
func Describe(v any) string {
	fields, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprintf("%T", v)
	}
	return fmt.Sprintf("%T %s", v, fields)
}
