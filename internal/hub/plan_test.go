package hub

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAModelsFilesAreChosen(t *testing.T) {
	for name, c := range map[string]struct{ files, modules, small, weights []string }{
		"safetensors before pickles, no other formats": {
			files: []string{
				"config.json", "vocab.txt", "model.safetensors", "pytorch_model.bin", "tf_model.h5", "flax_model.msgpack",
				"rust_model.ot", "onnx/model.onnx", "onnx/config.json", "model.safetensors.index.json", "x.py", ".gitattributes",
				"openvino/openvino_model.bin", "sub/model.safetensors",
			},
			small: []string{"config.json", "vocab.txt"}, weights: []string{"model.safetensors"},
		},
		"shards with their index": {
			files: []string{
				"config.json", "chat_template.jinja", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
				"model.safetensors.index.json", "pytorch_model.bin.index.json",
			},
			small: []string{"config.json", "chat_template.jinja"},
			weights: []string{
				"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json",
			},
		},
		"a form that lacks a shard is passed over": {
			files: []string{
				"config.json", "model-00001-of-00002.safetensors", "model.safetensors.index.json",
				"pytorch_model-00001-of-00001.bin", "pytorch_model.bin.index.json",
			},
			small: []string{"config.json"}, weights: []string{"pytorch_model-00001-of-00001.bin", "pytorch_model.bin.index.json"},
		},
		"modules have their own weights": {
			files: []string{
				"modules.json", "0_Transformer/config.json", "0_Transformer/pytorch_model.bin", "1_Pooling/config.json",
				"2_Dense/config.json", "2_Dense/model.safetensors", "2_Dense/pytorch_model.bin", "checkpoint/model.safetensors",
				"checkpoint/config.json", "sentencepiece.bpe.model",
			},
			modules: []string{"0_Transformer", "1_Pooling", "2_Dense"},
			small: []string{
				"modules.json", "sentencepiece.bpe.model", "0_Transformer/config.json", "1_Pooling/config.json", "2_Dense/config.json",
			},
			weights: []string{"0_Transformer/pytorch_model.bin", "2_Dense/model.safetensors"},
		},
		"a router has modules below": {
			files: []string{
				"modules.json", "router_config.json", "query_0_Static/model.safetensors", "document_0_T/config.json",
				"document_0_T/model.safetensors",
			},
			modules: []string{""},
			small:   []string{"modules.json", "router_config.json", "document_0_T/config.json"},
			weights: []string{"document_0_T/model.safetensors", "query_0_Static/model.safetensors"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			small, weights := plan(c.files, c.modules)
			require.Equal(t, c.small, small)
			require.ElementsMatch(t, c.weights, weights)
			require.NoError(t, checkPlan(c.files, small, weights))
		})
	}
}
