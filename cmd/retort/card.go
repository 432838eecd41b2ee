package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/retort-ir/retort/distill"
	"github.com/retort-ir/retort/encoder"
)

// card is what the command knows of the model card: who made queries, who scored lists, what chose the model.
func (s *specialisation) card() distill.Card {
	c := distill.Card{Chosen: s.selectedBy(), Guarded: "MRR@10 of held-out generated queries"}
	if s.lists != nil {
		c.Method = append(c.Method, encoder.Fact{Name: "Teacher", Value: "scored lists that were given"})
		return c
	}
	c.Method = append(c.Method, encoder.Fact{Name: "Queries made by", Value: s.queriesBy.describe()})
	if members, err := parseTeacher(s.teacherBy.taken(s.mining.Target)); err == nil {
		described := describeTeacher(withoutAddresses(members), s.teacherBy.fuse)
		c.Method = append(c.Method, encoder.Fact{Name: "Teacher", Value: described})
	}
	c.Method = append(c.Method, encoder.Fact{Name: "Target", Value: targetNames[s.mining.Target]})
	return c
}

// describe names what makes queries, without the address of a server or the path of a file.
func (g *generatorFlags) describe() string {
	var parts []string
	if types := g.extractiveTypes(); types != nil {
		parts = append(parts, "cutting them out of the passages: "+strings.Join(types, ", "))
	}
	if g.asksModel() {
		model := g.llmModel
		if g.llm != "" {
			model = filepath.Base(filepath.Clean(g.llm))
		}
		parts = append(parts, fmt.Sprintf("the language model %s: %s", model, strings.ReplaceAll(g.llmTypes, ",", ", ")))
	}
	return strings.Join(parts, "; ")
}

// withoutAddresses leaves of a server the name of its model.
func withoutAddresses(members []teacherMember) []teacherMember {
	named := slices.Clone(members)
	for i, m := range named {
		if m.kind == kindRerankAPI {
			_, named[i].arg, _ = strings.Cut(m.arg, "#")
		}
	}
	return named
}
