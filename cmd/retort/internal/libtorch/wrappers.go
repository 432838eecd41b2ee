package libtorch

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// function is a function definition at the top level of a C++ file.
type function struct {
	name         string
	result       string // text before the name
	isTemplate   bool
	start        int // offset of the definition
	open, end    int // offsets of its "{" and after its "}"
	line, toLine int // first and last line, from 1
}

// exported matches the names of the functions that gotch declares extern "C".
var exported = regexp.MustCompile(`^(at|atg|atm|ati|ato|ats|atc)_\w+$|^get_and_reset_last_err$`)

func (f *function) isOperation() bool { return !f.isTemplate && exported.MatchString(f.name) }

// functions finds the function definitions of a C++ file of gotch's style: top-level functions, templates of them,
// preprocessor lines, declarations; no classes, namespaces or raw strings.
func functions(src string) ([]function, error) {
	var found []function
	line, start := 1, -1 // start of the current definition or declaration
	for i := 0; i < len(src); {
		next, isCode := skip(src, i, start < 0)
		switch {
		case next == i && src[i] == '{':
			end, err := closing(src, i)
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", line, err)
			}
			last := line + strings.Count(src[i:end], "\n")
			if f, ok := parseHead(src[start:i]); ok {
				f.start, f.open, f.end, f.toLine = start, i, end, last
				f.line = line - strings.Count(src[start:i], "\n")
				found = append(found, f)
			}
			line, i, start = last, end, -1
		case next == i && src[i] == ';':
			i, start = i+1, -1
		case next == i:
			if start < 0 {
				start = i
			}
			i++
		default:
			if isCode && start < 0 {
				start = i
			}
			line += strings.Count(src[i:next], "\n")
			i = next
		}
	}
	return found, nil
}

// skip returns the offset after the white space, comment, literal or directive at i, and whether the skipped text is
// code. It returns i for anything else.
func skip(src string, i int, directives bool) (next int, isCode bool) {
	until := func(end string) int {
		if n := strings.Index(src[i:], end); n >= 0 {
			return i + n + len(end)
		}
		return len(src)
	}
	switch c := src[i]; {
	case c == ' ' || c == '\t' || c == '\n' || c == '\r':
		return i + 1, false
	case strings.HasPrefix(src[i:], "//"):
		return until("\n"), false
	case strings.HasPrefix(src[i:], "/*"):
		return until("*/"), false
	case c == '#' && directives:
		for end := i; ; {
			n := strings.IndexByte(src[end:], '\n')
			if n < 0 {
				return len(src), false
			}
			end += n + 1
			if !strings.HasSuffix(src[:end-1], `\`) {
				return end, false
			}
		}
	case c == '"' || c == '\'':
		for j := i + 1; j < len(src); j++ {
			switch src[j] {
			case '\\':
				j++
			case c:
				return j + 1, true
			}
		}
		return len(src), true
	}
	return i, false
}

// closing returns the offset after the closing brace of the brace at open.
func closing(src string, open int) (int, error) {
	depth := 0
	for i := open; i < len(src); {
		if next, _ := skip(src, i, false); next > i {
			i = next
			continue
		}
		switch src[i] {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return i + 1, nil
			}
		}
		i++
	}
	return 0, fmt.Errorf("unclosed brace")
}

var head = regexp.MustCompile(`(?s)^(template\s*<[^>]*>\s*)?([\w:<>,\s*&]*?[\s*&])(\w+)\s*\(`)

func parseHead(text string) (function, bool) {
	m := head.FindStringSubmatch(text)
	if m == nil {
		return function{}, false
	}
	return function{name: m[3], result: strings.TrimSpace(m[2]), isTemplate: m[1] != ""}, true
}

// sources are the two C++ files of gotch's wrappers that hold function definitions, and their header.
type sources struct {
	api, generated, header string
}

// trimmed replaces the body of every operation outside keep by one that reports an error. For operations in rejected
// the error says that this LibTorch has no such operation.
func (s sources) trimmed(keep func(name string) bool, rejected []string) (sources, error) {
	used, err := s.usedHelpers(keep)
	if err != nil {
		return sources{}, err
	}
	var kept strings.Builder
	replace := func(src string) (string, error) {
		return rewrite(src, func(f *function, text string) string {
			switch {
			case !f.isOperation() && (used[f.name] || !f.isTemplate):
				kept.WriteString(text)
				return text
			case !f.isOperation():
				return ""
			case slices.Contains(rejected, f.name):
				return text[:f.open-f.start] + leftOut("retort_rejected", f)
			case !keep(f.name):
				return text[:f.open-f.start] + leftOut("retort_left_out", f)
			}
			kept.WriteString(text)
			return text
		})
	}
	var out sources
	if out.api, err = replace(s.api); err != nil {
		return sources{}, err
	}
	if out.generated, err = replace(s.generated); err != nil {
		return sources{}, err
	}
	out.header = s.header
	if !heavy.MatchString(kept.String()) {
		out = out.lean()
	}
	out.api = strings.Replace(out.api, `#include "torch_api.h"`, `#include "torch_api.h"`+"\n"+errorFunctions, 1)
	return out, nil
}

// usedHelpers returns the template helpers that kept operations call, directly or not.
func (s sources) usedHelpers(keep func(name string) bool) (map[string]bool, error) {
	fs, err := functions(s.api)
	if err != nil {
		return nil, err
	}
	used := map[string]bool{}
	var visit func(body string)
	visit = func(body string) {
		for i := range fs {
			f := &fs[i]
			if f.isTemplate && !used[f.name] && strings.Contains(body, f.name) {
				used[f.name] = true
				visit(s.api[f.open:f.end])
			}
		}
	}
	for i := range fs {
		if f := &fs[i]; f.isOperation() && keep(f.name) {
			visit(s.api[f.open:f.end])
		}
	}
	return used, nil
}

// rewrite replaces each function definition of src by the result of change.
func rewrite(src string, change func(f *function, text string) string) (string, error) {
	fs, err := functions(src)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	at := 0
	for i := range fs {
		f := &fs[i]
		b.WriteString(src[at:f.start])
		b.WriteString(change(f, src[f.start:f.end]))
		at = f.end
	}
	b.WriteString(src[at:])
	return b.String(), nil
}

func leftOut(report string, f *function) string {
	if f.result == "void" {
		return "{ " + report + "(__func__); }"
	}
	return "{ " + report + "(__func__); return {}; }"
}

const errorFunctions = `
static void retort_left_out(const char *name) {
  torch_last_err = strdup((std::string(name) + " is not compiled in: run \"retort libtorch install -all-ops\"").c_str());
}
static void retort_rejected(const char *name) {
  torch_last_err = strdup((std::string(name) + " does not fit this version of LibTorch").c_str());
}
`

// heavy matches what needs more of LibTorch's headers than tensors and autograd: optimizers, TorchScript, images,
// files.
var heavy = regexp.MustCompile(
	`torch::(optim|jit|ivalue|serialize|save|load|nn)\b|c10::(Dict|AnyType)|\b(optimizer|ivalue|module)\b|\bstbir?_`,
)

const leanHeaders = `#include <torch/types.h>
#include <torch/cuda.h>
#include <torch/utils.h>
#include <torch/csrc/autograd/engine.h>
#include <torch/csrc/autograd/grad_mode.h>
#include <ATen/Parallel.h>
#include <ATen/autocast_mode.h>
#include <cstring>
#include <iostream>
#include <sstream>
#include <vector>`

var (
	include     = regexp.MustCompile(`(?m)^#include (<.*>|"ATen.*"|"stb_.*")$`)
	heavyHandle = regexp.MustCompile(`typedef torch::[\w:]+ \*(optimizer|module|ivalue);`)
)

// lean includes only the headers of tensors and autograd, which halves the time to compile.
func (s sources) lean() sources {
	s.api = include.ReplaceAllString(s.api, "")
	s.header = strings.Replace(s.header, "#include <torch/torch.h>", leanHeaders, 1)
	s.header = heavyHandle.ReplaceAllString(s.header, "typedef void *$1;")
	return s
}

// operationAt returns the operation whose definition includes the line.
func operationAt(fs []function, line int) string {
	for i := range fs {
		if f := &fs[i]; f.line <= line && line <= f.toLine && f.isOperation() {
			return f.name
		}
	}
	return ""
}
