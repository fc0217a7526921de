module actors

go 1.26.0

require semper v0.0.0

// In a project of your own the libraries come from where semper does.
replace semper => ../..
