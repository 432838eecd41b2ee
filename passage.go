package retort

import "strings"

// Passage is one unit of retrieval.
type Passage struct {
	ID    string `json:"_id"`
	Title string `json:"title"`
	Text  string `json:"text"`
}

// Content returns the title and the text joined by one space, trimmed. Every part of Retort that reads a passage as one
// string reads this one, so that training and search never see different joins.
func (p Passage) Content() string {
	return strings.TrimSpace(strings.TrimSpace(p.Title) + " " + strings.TrimSpace(p.Text))
}

// Query is one search request, asked by a person or generated from a passage.
type Query struct {
	ID   string `json:"_id"`
	Text string `json:"text"`
	// Type names the kind of a generated query ("question", "keywords", ...); empty for a person's.
	Type string `json:"type,omitempty"`
	// Source is the id of the passage that the query was generated from; empty for a person's.
	Source string `json:"source,omitempty"`
	// Origin names the generator (and model) that wrote the query; empty for a person's.
	Origin string `json:"origin,omitempty"`
}

// Is reports whether the query is that passage itself, as in collections whose queries are passages (ArguAna, Quora):
// they have the same id, and the query's text is the passage's, with or without its title, regardless of case and white
// space.
func (q Query) Is(p Passage) bool {
	return q.ID == p.ID && q.ID != "" && (sameWords(q.Text, p.Text) || sameWords(q.Text, p.Content()))
}

// OriginExtractive is the Origin of queries whose text was cut out of their source, alone or with more after it
// ("extractive/titles").
const OriginExtractive = "extractive"

// Extractive reports whether the query's text was cut out of its source: it has a Source, and its Origin begins with
// OriginExtractive. Any ranker that counts words puts the source of such a query first, whatever it is worth. So the
// source serves to filter such queries, and not as a passage to learn from.
func (q Query) Extractive() bool {
	return q.Source != "" && strings.HasPrefix(q.Origin, OriginExtractive)
}

func sameWords(a, b string) bool {
	return strings.EqualFold(strings.Join(strings.Fields(a), " "), strings.Join(strings.Fields(b), " "))
}

// List is a query with candidate passages, best first where the order has a meaning, and a teacher's scores. It holds
// ids, never texts.
type List struct {
	Query  Query     `json:"query"`
	IDs    []string  `json:"ids"`
	Scores []float64 `json:"scores,omitempty"` // aligned with IDs; nil before a teacher has scored the list
	Weight float64   `json:"weight,omitempty"` // of the list in the loss; 0 means 1
}
