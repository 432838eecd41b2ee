package checkpoint

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// CheckSameRun returns an error that names the first difference between the run of a checkpoint and this one. theirs
// and ours hold, by name, everything that decides the result. A setting that is off may be left out. what holds messages
// for values that no person can read, such as hashes.
func CheckSameRun(theirs, ours, what map[string]string) error {
	all := maps.Clone(ours)
	maps.Copy(all, theirs)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if theirs[name] == ours[name] {
			continue
		}
		if said, ok := what[name]; ok {
			return errors.New(said)
		}
		return fmt.Errorf("%s is %s in the checkpoint and %s in this run", name, cmp.Or(theirs[name], "unset"),
			cmp.Or(ours[name], "unset"))
	}
	return nil
}

// Describe returns a value's type and exported fields, for [CheckSameRun].
func Describe(v any) string {
	fields, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprintf("%T", v)
	}
	return fmt.Sprintf("%T %s", v, fields)
}
