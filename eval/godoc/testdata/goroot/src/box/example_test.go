package box_test

// This example demonstrates how to use Pack to send two books to a friend. It prints nothing. It
// returns at once.
//
// More is said in a second paragraph.
func ExamplePack() {}

// ExampleBox_Open demonstrates opening a parcel that may be [full].
func ExampleBox_Open() {}

// A parcel can be opened twice without harm.
func ExampleBox_twice() {}

// Send two books to a friend and to a foe.
func ExampleNew() {}

// Send two books to a friend and to a foe.
func ExampleGone() {}

// This example is equivalent to the main one but shorter.
func ExamplePack_short() {}

// This example shows Pack.
func ExamplePack_brief() {}

// Here we look at everything there is in the package.
func Example_tour() {}

func ExampleSize() {}
