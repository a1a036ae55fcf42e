"""The applications under load. Each does the least its title says, so that the server is what is measured."""
