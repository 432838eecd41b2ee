package encodernet_test

import (
	"fmt"

	"github.com/retort-ir/retort/internal/encodernet"
)

// A folder's weights are checked against its configuration, and can be read, without LibTorch.
func Example() {
	const dir = "../../encoder/transformer/testdata/tiny"
	config, err := encodernet.ReadConfig(dir + "/" + encodernet.ConfigFile)
	if err != nil {
		fmt.Println(err)
		return
	}
	weights, err := encodernet.OpenWeights(dir, config)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer weights.Close()
	shapes := encodernet.Shapes(config)
	values, err := weights.Read(shapes[1].Name, shapes[1].Dims)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(len(shapes), "weights;", shapes[1].Name, shapes[1].Dims, "has", len(values), "values")
	// Output: 37 weights; embeddings.position_embeddings.weight [64 32] has 2048 values
}
