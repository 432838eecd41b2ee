package jsonfile_test

import (
	"fmt"

	"github.com/retort-ir/retort/internal/jsonfile"
)

func ExampleUnmarshal() {
	var config map[string]int
	fmt.Println(jsonfile.Unmarshal([]byte("{\n\"hidden_size\": 32,\n}"), &config))
	// Output: line 2: malformed JSON: invalid character ',' at start of value
}
