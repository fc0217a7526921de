// Package config reads semper.yaml and Procfiles into a [semper.Spec].
package config
