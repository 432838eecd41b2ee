package generate

// pool are the examples that the built-in query types show a model: passages of several fields, each with one query of
// each type. All of them are invented for this purpose.
var pool = []struct {
	field   string
	passage string
	queries map[string]string
}{
	{
		"science",
		"Mangrove roots slow the water that runs between them. In three bays of the same coast, plots with dense roots kept four times " +
			"as much silt over a rainy season as plots that had been cleared, and young crabs were found only where the silt had settled.",
		map[string]string{
			TypeQuestion: "How do mangrove roots change the amount of silt that a bay keeps?",
			TypeClaim:    "Clearing mangroves lets most of the silt wash out of a bay.",
			TypeTitle:    "Root density, silt retention and crab nurseries in coastal mangroves",
			TypeKeywords: "mangrove roots silt retention crabs",
			TypeMSMARCO:  "why are mangroves important for the coast",
		},
	},
	{
		"science",
		"A magnet that falls through a copper pipe takes several seconds to reach the other end. The moving field drives circular currents " +
			"in the wall, whose own field pushes against the fall. A pipe cut open along its length lets the magnet drop almost freely.",
		map[string]string{
			TypeQuestion: "Why does a magnet fall slowly inside a metal tube?",
			TypeClaim:    "Slitting a copper pipe removes most of the braking of a falling magnet.",
			TypeTitle:    "Eddy current braking of a magnet in a conducting pipe",
			TypeKeywords: "eddy currents magnet copper pipe braking",
			TypeMSMARCO:  "what makes a magnet drop slow in copper",
		},
	},
	{
		"science",
		"Honeybees that return with nectar dance on the comb, and the angle of the dance tells the others the direction of the flowers relative " +
			"to the sun. Bees raised without older dancers made larger errors of angle for the rest of their lives.",
		map[string]string{
			TypeQuestion: "Do young honeybees have to learn the waggle dance from older ones?",
			TypeClaim:    "Bees that never watch experienced dancers signal directions less accurately.",
			TypeTitle:    "Social learning and the accuracy of the honeybee dance",
			TypeKeywords: "honeybee waggle dance direction social learning",
			TypeMSMARCO:  "how do bees tell each other where flowers are",
		},
	},
	{
		"code",
		"The pool keeps up to max_idle connections open after they are given back. A connection that has been idle for longer than idle_timeout " +
			"is closed by a background task. Setting max_idle to zero closes each connection as soon as it is returned.",
		map[string]string{
			TypeQuestion: "How can I stop the database pool from holding unused connections?",
			TypeClaim:    "With no idle connections allowed, every one is closed right after use.",
			TypeTitle:    "Limiting idle database connections",
			TypeKeywords: "connection pool idle timeout setting",
			TypeMSMARCO:  "close unused db connections automatically",
		},
	},
	{
		"code",
		"Two goroutines that write to the same map without a lock crash the program with a fatal error that cannot be recovered. Guard the map " +
			"with a mutex, or use the concurrent map of the sync package when keys are written once and read many times.",
		map[string]string{
			TypeQuestion: "Is it safe to write to a Go map from several goroutines?",
			TypeClaim:    "Unsynchronised writes to a shared map end a Go program for good.",
			TypeTitle:    "Sharing maps between goroutines safely",
			TypeKeywords: "go map concurrent writes mutex",
			TypeMSMARCO:  "golang map race crash fix",
		},
	},
	{
		"code",
		"A merge commit has two parents. To undo one that has already been pushed, create a new commit that reverses its changes and name the " +
			"parent that should be kept as the main line. Rewriting the branch instead would break everybody who has fetched it.",
		map[string]string{
			TypeQuestion: "How do I undo a merge that other people have already fetched?",
			TypeClaim:    "A published merge should be reversed by a new commit and not by rewriting history.",
			TypeTitle:    "Reverting a pushed merge commit",
			TypeKeywords: "git revert merge commit mainline parent",
			TypeMSMARCO:  "git undo merge after push",
		},
	},
	{
		"law",
		"A tenant who leaves before the end of a fixed term owes the rent until the flat is let again, but the landlord must make reasonable " +
			"efforts to find somebody else. Rent that could have been had with such efforts is taken off what the tenant owes.",
		map[string]string{
			TypeQuestion: "Do I have to keep paying rent if I move out before the lease ends?",
			TypeClaim:    "A landlord who makes no attempt to re-let cannot recover the full remaining rent.",
			TypeTitle:    "The landlord's duty to mitigate after early departure",
			TypeKeywords: "break lease early rent owed mitigation",
			TypeMSMARCO:  "breaking a lease early what do i owe",
		},
	},
	{
		"law",
		"An agreement not to compete is enforced only so far as it protects a legitimate interest of the employer, such as trade secrets, and is " +
			"reasonable in time and place. A court may strike out a clause that bars any work in the same industry for five years.",
		map[string]string{
			TypeQuestion: "When is a non-compete clause in a work contract not enforceable?",
			TypeClaim:    "Courts may refuse to enforce a five-year ban on working in an industry.",
			TypeTitle:    "Limits on non-compete clauses in employment contracts",
			TypeKeywords: "non-compete clause enforceability reasonable duration",
			TypeMSMARCO:  "how long can a non compete last",
		},
	},
	{
		"medicine",
		"Of 418 patients with tension headache, those who kept a fixed bedtime for eight weeks had attacks on five days a month instead of nine. " +
			"The number of painkillers taken fell by a third. No change was seen in the group that only drank more water.",
		map[string]string{
			TypeQuestion: "Does a regular bedtime reduce how often tension headaches occur?",
			TypeClaim:    "Drinking more water does not lower the frequency of tension headaches.",
			TypeTitle:    "Regular sleep and the frequency of tension headache: a controlled trial",
			TypeKeywords: "tension headache sleep schedule trial",
			TypeMSMARCO:  "can going to bed at the same time help headaches",
		},
	},
	{
		"medicine",
		"A child who has swallowed a button battery needs an X-ray at once, even without any sign of illness, since the current burns the gullet " +
			"within two hours. Honey may be given on the way by parents of children older than one year. Vomiting must not be provoked.",
		map[string]string{
			TypeQuestion: "What should parents do when a child has swallowed a small battery?",
			TypeClaim:    "A swallowed button battery can injure the oesophagus in under two hours.",
			TypeTitle:    "First aid and imaging after button battery ingestion",
			TypeKeywords: "button battery ingestion child first aid",
			TypeMSMARCO:  "kid swallowed a battery what to do",
		},
	},
	{
		"medicine",
		"Iron tablets are absorbed best on an empty stomach with a glass of juice. Tea, coffee and milk taken within an hour bind the iron and can " +
			"halve the amount that reaches the blood. Taking a tablet every other day causes fewer stomach complaints and works as well.",
		map[string]string{
			TypeQuestion: "Which drinks interfere with the absorption of iron supplements?",
			TypeClaim:    "Iron taken on alternate days is as effective as a daily dose.",
			TypeTitle:    "Timing of oral iron and its absorption",
			TypeKeywords: "iron tablets absorption tea coffee",
			TypeMSMARCO:  "best time to take iron pills",
		},
	},
	{
		"shopping",
		"This two-person tent weighs 1.9 kg and packs to the size of a loaf of bread. The outer sheet goes up first, so the inner room stays dry in " +
			"rain. Two porches hold boots and packs. The floor withstands a water column of five metres; pegs for sand are sold separately.",
		map[string]string{
			TypeQuestion: "Which light tent for two can be put up in the rain without getting wet inside?",
			TypeClaim:    "A tent pitched outer sheet first keeps its sleeping area dry during setup.",
			TypeTitle:    "Light two-person hiking tent with two porches",
			TypeKeywords: "lightweight 2 person backpacking tent waterproof",
			TypeMSMARCO:  "good light tent for rainy hikes",
		},
	},
	{
		"shopping",
		"The grinder has 40 settings from espresso to French press and steel burrs that come out without tools. It holds 350 g of beans and stops by " +
			"itself when the chosen weight is reached. At 62 decibels it is quieter than most machines of its price.",
		map[string]string{
			TypeQuestion: "Is there a quiet coffee grinder that weighs the dose by itself?",
			TypeClaim:    "Removable steel burrs make this coffee grinder easy to clean.",
			TypeTitle:    "Quiet burr grinder with built-in scale",
			TypeKeywords: "burr coffee grinder quiet built-in scale",
			TypeMSMARCO:  "quiet coffee grinder for espresso and french press",
		},
	},
	{
		"support",
		"If the app shows a grey screen after the update, the saved layout could not be read. Hold the power button for ten seconds, start in safe mode, " +
			"and choose Restore layout. Your photos and notes are kept on our servers and come back when you sign in.",
		map[string]string{
			TypeQuestion: "Why is the screen grey since I installed the update?",
			TypeClaim:    "Restoring the layout in safe mode does not delete photos or notes.",
			TypeTitle:    "Fixing a grey screen after an update",
			TypeKeywords: "app grey screen update restore layout",
			TypeMSMARCO:  "app stuck on grey screen",
		},
	},
	{
		"support",
		"A refund goes back to the card that paid for the order. Banks take up to five working days to show it. If the card has been cancelled, write to " +
			"us before you send the parcel back and we will pay by transfer instead. Delivery fees are refunded only for faulty goods.",
		map[string]string{
			TypeQuestion: "Can I get my money back when the card I paid with no longer exists?",
			TypeClaim:    "Shipping costs are returned only when the item was defective.",
			TypeTitle:    "Refunds to cancelled cards and delivery fees",
			TypeKeywords: "refund cancelled card bank transfer",
			TypeMSMARCO:  "how long does a refund take to show up",
		},
	},
	{
		"support",
		"Team owners can hand their role to any member who has confirmed an e-mail address. Open Members, choose the person, and select Make owner. The " +
			"former owner becomes an administrator and keeps access to billing for thirty days.",
		map[string]string{
			TypeQuestion: "How do I make somebody else the owner of our team?",
			TypeClaim:    "A previous team owner can still see invoices for a month.",
			TypeTitle:    "Transferring ownership of a team",
			TypeKeywords: "transfer team ownership admin role",
			TypeMSMARCO:  "change account owner to another person",
		},
	},
}

// examplesOf returns the pool's examples of a type.
func examplesOf(queryType string) []Example {
	var examples []Example
	for _, p := range pool {
		if query := p.queries[queryType]; query != "" {
			examples = append(examples, Example{Field: p.field, Passage: p.passage, Query: query})
		}
	}
	return examples
}
