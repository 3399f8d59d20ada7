"""Gives an empty Tryton database a company that sells in GBP. Called by tryton.sh with the configuration and database."""

import sys
from decimal import Decimal

from proteus import Model, Wizard, config

configuration, database = sys.argv[1:]


def connect(user):
    return config.set_trytond(f"postgresql:///{database}", user=user, config_file=configuration)


connect("admin")
Currency = Model.get("currency.currency")
pound = Currency(name="Pound sterling", code="GBP", symbol="£", digits=2, rounding=Decimal("0.01"))
pound.save()
seller = Model.get("party.party")(name="Lockstep Wholesale")
seller.save()
wizard = Wizard("company.company.config")
wizard.execute("company")
wizard.form.party = seller
wizard.form.currency = pound
wizard.execute("add")
(company,) = Model.get("company.company").find()
User = Model.get("res.user")
(admin,) = User.find([("login", "=", "admin")])
admin.companies.append(company)
admin.company = company
admin.save()

context = connect("admin")
context._context = Model.get("res.user").get_preferences(True, {})
# Invoices follow the goods, so that a sale needs no accounts before something is shipped.
settings = Model.get("sale.configuration")(1)
settings.sale_invoice_method = "fulfillment"
settings.save()
