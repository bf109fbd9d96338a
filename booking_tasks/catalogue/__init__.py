"""The catalogue: what is offered, by whom, by which policies, and how people are reached.

`service` stores service types, consultants' profiles and the aliases of specializations; `policies` stores
the policies by which one consultant departs from a service type; `directory` stores the copy of people's
contact data that mail uses. `store` has the rows of all of them. Every change of a profile or a policy is
made under the consultant's lock, so that a booking sees it whole or not at all.
"""
