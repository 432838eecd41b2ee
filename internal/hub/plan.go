package hub

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const (
	modulesFile = "modules.json"
	configFile  = "config.json"
	routerFile  = "router_config.json"
)

// plan returns the files of a repository that a model needs: the small ones, then the weights. modules are the folders
// that modules.json names.
func plan(files, modules []string) (small, weights []string) {
	for _, dir := range modelFolders(files, modules) {
		w := weightsIn(dir, files)
		for _, file := range files {
			switch {
			case inFolder(file) != dir:
			case slices.Contains(w, file):
				weights = append(weights, file)
			case isSmall(file):
				small = append(small, file)
			}
		}
	}
	return small, weights
}

// modelFolders returns the root, the modules' folders, and the folders below a router, which holds modules itself.
func modelFolders(files, modules []string) []string {
	folders := []string{""}
	for _, m := range modules {
		folders = append(folders, strings.Trim(path.Clean("/"+m), "/"))
	}
	for _, dir := range slices.Clone(folders) {
		if !slices.Contains(files, path.Join(dir, routerFile)) {
			continue
		}
		for _, file := range files {
			if in := inFolder(file); strings.HasPrefix(in+"/", dir+"/") || dir == "" {
				folders = append(folders, in)
			}
		}
	}
	slices.Sort(folders)
	return slices.Compact(folders)
}

// inFolder returns the folder of a file, "" for the root.
func inFolder(file string) string {
	if dir := path.Dir(file); dir != "." {
		return dir
	}
	return ""
}

// isSmall says whether a file may hold settings, a vocabulary, a template or the licence.
func isSmall(file string) bool {
	base := path.Base(file)
	if strings.HasSuffix(base, ".index.json") {
		return false
	}
	return slices.Contains([]string{".json", ".txt", ".model", ".jinja"}, path.Ext(base)) ||
		file == "README.md" || file == "LICENSE"
}

// weightForms are the forms of weights that Retort reads, best first. A form in shards has an index.
var weightForms = []struct {
	name  string
	shard *regexp.Regexp // nil: the file is whole
}{
	{"model.safetensors", nil},
	{"model.safetensors.index.json", regexp.MustCompile(`^model-\d+-of-(\d+)\.safetensors$`)},
	{"pytorch_model.bin", nil},
	{"pytorch_model.bin.index.json", regexp.MustCompile(`^pytorch_model-\d+-of-(\d+)\.bin$`)},
}

// weightsIn returns the weights in a folder in the best form that is there whole.
func weightsIn(dir string, files []string) []string {
	for _, form := range weightForms {
		if !slices.Contains(files, path.Join(dir, form.name)) {
			continue
		}
		weights := []string{path.Join(dir, form.name)}
		if form.shard == nil {
			return weights
		}
		shards := 0
		for _, file := range files {
			if m := form.shard.FindStringSubmatch(path.Base(file)); m != nil && inFolder(file) == dir {
				weights = append(weights, file)
				shards, _ = strconv.Atoi(m[1])
			}
		}
		if len(weights) == shards+1 {
			return weights
		}
	}
	return nil
}

// checkPlan returns an error for a repository that is no model for Retort.
func checkPlan(files, small, weights []string) error {
	if len(weights) > 0 && (slices.Contains(small, configFile) || slices.Contains(small, modulesFile)) {
		return nil
	}
	var ggufs []string
	for _, file := range files {
		if strings.EqualFold(path.Ext(file), ".gguf") {
			ggufs = append(ggufs, file)
		}
	}
	if len(ggufs) > 0 {
		return fmt.Errorf("the repository holds GGUF files: name one after a colon, such as :%s", ggufs[0])
	}
	return fmt.Errorf("the repository holds no model that Retort reads: want %s, and model.safetensors or "+
		"pytorch_model.bin, whole or in shards with an index", configFile)
}
