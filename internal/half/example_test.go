package half_test

import (
	"fmt"

	"github.com/retort-ir/retort/internal/half"
)

func Example() {
	fmt.Println(half.Float32(0x3800), half.FromBFloat16(0x3f00))
	// Output: 0.5 0.5
}
