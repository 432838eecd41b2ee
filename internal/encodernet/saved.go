package encodernet

import (
	"encoding/json"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/retort-ir/retort/internal/jsonfile"
	"github.com/retort-ir/retort/internal/safetensors"
	"github.com/retort-ir/retort/internal/strictjson"
)

// DType returns the type of the file's tensors by its name in transformers ("float32"); "" if the types differ or
// have no name in transformers.
func (w *Weights) DType() string {
	kind := ""
	for _, name := range w.File.Names() {
		d, ok := dtypes[w.File.DType(name)]
		if !ok {
			if isIndex(name) {
				continue
			}
			return ""
		}
		if kind != "" && kind != d {
			return ""
		}
		kind = d
	}
	return kind
}

// dtypes are transformers' names of the types that Tensor reads.
var dtypes = map[string]string{"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}

// isIndex says whether a tensor holds what the configuration determines, which old versions of models saved.
func isIndex(name string) bool {
	return strings.HasSuffix(name, "position_ids") || strings.HasSuffix(name, "inv_freq")
}

// CopiedConfig returns config.json of the folder for a copy of its weights, which are of the type dtype.
func CopiedConfig(dir, dtype string) (map[string]json.RawMessage, error) {
	config, err := readConfigMembers(dir)
	if err != nil {
		return nil, err
	}
	delete(config, "torch_dtype")
	return config, setMember(config, "dtype", dtype)
}

// TrainedConfig returns config.json of the folder for weights of float32 that Retort wrote, by their names in the
// architecture.
func TrainedConfig(dir, architecture string) (map[string]json.RawMessage, error) {
	config, err := readConfigMembers(dir)
	if err != nil {
		return nil, err
	}
	for _, key := range []string{"torch_dtype", "transformers_version", "quantization_config", "_name_or_path"} {
		delete(config, key)
	}
	if err := setMember(config, "architectures", []string{architecture}); err != nil {
		return nil, err
	}
	return config, setMember(config, "dtype", "float32")
}

// readConfigMembers reads config.json without an auto_map that names Python files, which are not saved. One that names
// files of another repository stays.
func readConfigMembers(dir string) (map[string]json.RawMessage, error) {
	var config map[string]json.RawMessage
	if err := jsonfile.Read(filepath.Join(dir, ConfigFile), &config); err != nil {
		return nil, err
	}
	var files map[string]string
	err := strictjson.Unmarshal(config["auto_map"], &files)
	here := func(file string) bool { return !strings.Contains(file, "--") }
	if err != nil || len(files) == 0 || slices.ContainsFunc(slices.Collect(maps.Values(files)), here) {
		delete(config, "auto_map")
	}
	return config, nil
}

func setMember(config map[string]json.RawMessage, key string, value any) error {
	raw, err := json.Marshal(value)
	if err != nil {
		return err
	}
	config[key] = raw
	return nil
}

// ReadAll returns all tensors of the file as float32, under their names in a model without a head.
func (w *Weights) ReadAll(wanted func(name string) bool) ([]safetensors.Tensor, error) {
	var all []safetensors.Tensor
	for _, stored := range w.File.Names() {
		name := strings.TrimPrefix(stored, w.Prefix)
		if !wanted(name) {
			continue
		}
		shape, _ := w.File.Shape(stored)
		values, err := w.File.Read(stored, shape)
		if err != nil {
			return nil, err
		}
		all = append(all, safetensors.Tensor{Name: name, Shape: shape, Values: values})
	}
	return all, nil
}
