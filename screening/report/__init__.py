"""The report on a screened file: what it shows (`data`), as one HTML file (`html`) and in the terminal (`summary`)."""
