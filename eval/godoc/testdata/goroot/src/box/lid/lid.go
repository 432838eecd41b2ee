// Package lid closes boxes.
package lid
