package modelfolder

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/retort-ir/retort/internal/jsonfile"
)

// ModulesFile lists the modules of a sentence-transformers model.
const ModulesFile = "modules.json"

// Module is one step of a sentence-transformers model.
type Module struct {
	Kind string // the class's last name: Transformer, Pooling, Normalize, ...
	Dir  string
}

// ModuleSchema is the schema of an entry of modules.json.
var ModuleSchema = Schema{
	Read:     []string{"path", "type", "name"},
	Harmless: []string{"idx"},
	Refused:  []Refusal{{Key: "kwargs", OK: []string{"[]"}, Remedy: "no supported module takes any"}},
}

// ReadModules reads modules.json of the folder.
func ReadModules(dir string) ([]Module, error) {
	path := filepath.Join(dir, ModulesFile)
	var list []json.RawMessage
	if err := jsonfile.Read(path, &list); err != nil {
		return nil, err
	}
	var modules []Module
	names := map[string]bool{}
	for i, raw := range list {
		m, err := readModule(fmt.Sprintf("%s: module %d", path, i), dir, raw, names)
		if err != nil {
			return nil, err
		}
		modules = append(modules, m)
	}
	return modules, nil
}

// readModule reads an entry of modules.json and adds its name to names.
func readModule(where, dir string, raw []byte, names map[string]bool) (Module, error) {
	s, err := Parse(where, raw)
	if err != nil {
		return Module{}, err
	}
	if _, err := ModuleSchema.Check(s); err != nil {
		return Module{}, err
	}
	var path, class, name string
	for key, to := range map[string]*string{"path": &path, "type": &class, "name": &name} {
		if _, err := s.Get(key, to); err != nil {
			return Module{}, err
		}
	}
	if s.IsSet("name") && names[name] {
		return Module{}, s.Errorf("name", "%q is also the name of an earlier module, which sentence-transformers would drop",
			name)
	}
	names[name] = true
	at, err := Join(dir, path)
	if err != nil {
		return Module{}, fmt.Errorf("%s: %w", where, err)
	}
	kind, err := ModuleKind(class)
	if err != nil {
		return Module{}, fmt.Errorf("%s: %w", where, err)
	}
	return Module{kind, at}, nil
}

// ModuleKind returns the last name of a class of sentence-transformers. A class of the folder's own may do anything.
func ModuleKind(class string) (string, error) {
	if !strings.HasPrefix(class, "sentence_transformers.") {
		return "", fmt.Errorf("type %q is not a class of sentence_transformers; Retort does not run code from a model folder",
			class)
	}
	return class[strings.LastIndexByte(class, '.')+1:], nil
}
