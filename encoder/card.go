package encoder

// Card is what a model card tells of how a model came about. Every member may be left out. Its texts may hold anything: they
// are escaped where the card is written.
type Card struct {
	// BaseModel is the model's name before training, such as its id on the Hugging Face Hub; "" takes that of the folder
	// that it was opened from.
	BaseModel string
	// Passages is how many the corpus has.
	Passages int
	// Method says how the model was trained, in the order of the card.
	Method []Fact
	// Verdict says in a sentence what came of it.
	Verdict string
	// Results are what was measured before and after.
	Results []Result
}

// Fact is a named property.
type Fact struct{ Name, Value string }

// Result compares the model with what it was before training, query by query.
type Result struct {
	Metric  string // with its cut: "MRR@10"
	Queries string // which they are: "held-out generated queries"
	N       int    // how many
	Before  float64
	After   float64
	Low     float64 // the 95% confidence interval of After - Before
	High    float64
	P       float64 // how often chance alone gives a difference as large
}
