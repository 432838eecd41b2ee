package encoder

// Card is what a model card tells of how a model came about. Every member may be left out. Its texts may hold
// anything: they are escaped where the card is written.
type Card struct {
	// BaseModel is the model's name before training, such as its id on the Hugging Face Hub; "" takes that of the
	// folder that it was opened from.
	BaseModel string
	// Passages is how many the corpus has.
	Passages int
	// Method says how the model was trained, in the order of the card.
	Method []Fact
	// Verdict says in a sentence what came of it.
	Verdict string
	// Results are what was measured before training and after it.
	Results []Result
}

// Fact is a named property.
type Fact struct{ Name, Value string }

// Result compares the model with what it was before training, query by query.
type Result struct {
	Measure string  // what was measured of which queries: "MRR@10 of held-out queries"
	Queries int     // how many
	Delta   float64 // the mean of after - before
	Low     float64 // its 95% confidence interval
	High    float64
	P       float64 // how often chance alone gives a difference as large
}
