// Tool must be left out.
package main
